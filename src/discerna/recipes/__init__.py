"""What `auto` stands for in a training: looks at the data and the network, and says why."""
