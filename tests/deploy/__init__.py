"""Tests of the files for pipelines and Kubernetes."""
