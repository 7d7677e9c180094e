"""Where the default branch takes changes by review only: what is ahead is offered on another branch."""
