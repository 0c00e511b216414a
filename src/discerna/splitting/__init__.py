"""An image directory cut into parts, such as training and validation."""
