"""What tests share: people, calls to handlers, pictures, waiting."""
