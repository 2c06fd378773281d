"""Release: what a verdict leads to is authorized, carried out, journalled; a rollout goes on step by step."""
