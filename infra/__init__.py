"""What runs, deploys and supplies the functions; no function knows of it."""
