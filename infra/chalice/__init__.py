"""The Chalice application that answers HTTP requests on this machine."""
