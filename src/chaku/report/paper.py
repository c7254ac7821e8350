"""Numbers from the Code Llama paper (arXiv 2308.12950 v3), which the report shows beside a run's numbers."""

MODEL = "Code Llama 7B"

# Table 2: greedy pass@1 in percent, 7B.
HUMANEVAL_PASS_AT_1 = {"Code Llama 7B": 33.5, "Code Llama - Python 7B": 38.4}

# HumanEval single-line infilling, greedy pass@1 in percent, 7B.
INFILLING_PASS_AT_1 = {"psm": 77.0, "spm": 83.3}

# Key retrieval accuracy of the 7B in percent, 64 examples a cell; rows are context lengths, columns relative positions.
KEY_RETRIEVAL_LENGTHS = ("8k", "16k", "24k")
KEY_RETRIEVAL_POSITIONS = (0.0, 0.2, 0.4)
KEY_RETRIEVAL_ACCURACY = ((100.0, 95.3, 100.0), (54.7, 100.0, 98.4), (3.1, 85.9, 85.9))
