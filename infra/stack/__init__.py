"""The stores, nginx and the function hosts on one machine: installed, started, supervised, stopped."""
