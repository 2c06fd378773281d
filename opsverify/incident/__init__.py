"""An incident as a recorded timeline: recovery and way back step by step, who and when, and what was proven between."""
