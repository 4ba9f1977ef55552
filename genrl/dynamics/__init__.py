"""What the world does next: learned models and simulators under one protocol, and one function that rolls them out."""
