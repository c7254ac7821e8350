"""Lays out, compiles and runs jobs in every language, and proves that their tests reached their end.

Scripted languages, and Python (`guest/`): the tests run in a process apart from the candidate, and the candidate
answers their calls in plain data (`harness/`). Nothing that a candidate does to its own process makes a pass.

Compiled languages: tests and candidate share a process, but not a source file. The candidate is compiled separately (a
shared library in C++, a package, a module); the tests are compiled against the declarations of the prompt, in a file
with a random name, so that the candidate cannot include it. The candidate's definitions (a macro, a type, a `main`, an
operator, a comment that does not end) do not reach the tests. Its return values are checked against the prompt's types,
or copied into the language's own types. After the last test, the program creates a file with a random name, the mark.
The sources are deleted before the program runs, so a program that exits early cannot create the mark, and never passes.
But tests and candidate share memory: a program written against this very sandbox could search the memory for the name.
"""
