"""How a job's files are laid out, compiled and run, and how it is shown that its tests reached their end.

Scripted languages, and Python (`guest/`): the tests judge from a process of their own, and the candidate answers their
calls in plain data (`harness/`). Nothing that a candidate does to its own process makes a pass.

Compiled languages: tests and candidate are one process, but not one text. The candidate is compiled by itself (a
shared library in C++, a package, a module); the tests are compiled against the declarations of the prompt, in a file
whose name is drawn for each job, so that the candidate cannot include it. What the candidate defines (a macro, a
type, a `main`, an operator, a comment that does not end) reaches no test, and what it returns is checked against the
prompt's types, or copied into the language's own. The end of the tests is shown by a file with a random name, which
is made after the last test; sources are gone before the program runs. So leaving early never passes, in whatever way.
But tests and candidate share memory there: a program that was written against this very sandbox could search it for
that name.
"""
