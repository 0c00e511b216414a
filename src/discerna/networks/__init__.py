"""A network's name -> the network with the right head."""
