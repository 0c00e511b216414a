"""What a trained model says of pictures. Never imports Lightning."""
