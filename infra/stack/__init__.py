"""The stores, the front door and the function hosts on one machine: installed, started, watched, stopped."""
