"""A model behind HTTP: for editors, applications, and a page in the browser."""
