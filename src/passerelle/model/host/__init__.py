"""The process that holds one adopted model, in the model's own environment.

It runs under the Python and the libraries that the model asks for, without passerelle: the files of this folder import the standard
library alone, and each other. They must run on Python 3.9.
"""
