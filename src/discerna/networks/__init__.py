"""A network's name -> the network with the right head."""

from discerna.networks.registration import register

__all__ = ["register"]
