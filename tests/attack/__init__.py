"""Attacks: tries to make a verdict, an action or a record say what was not measured."""
