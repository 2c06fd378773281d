"""Tests with a real Kubernetes control plane and the real controllers of Argo Rollouts and Flagger."""
