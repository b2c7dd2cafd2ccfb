"""What the commands in bench/ are made of; docs/benchmarks.md explains the words."""
