"""Release: the steps after a verdict are authorized, carried out and journalled; a rollout, step by step."""
