"""Switchback: two regions compared, before and after traffic goes back to the original one."""
