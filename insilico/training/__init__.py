"""From recordings to a twin that can be trusted: data, losses, the loop, evaluation."""
