"""Instruction data made and judged by running code: questions, tests, solutions, what is kept, and why."""
