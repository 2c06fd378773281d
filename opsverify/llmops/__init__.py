"""LLM operations: rules learned from what people said and how they judged the answer (runbook 3, LLMOps)."""
