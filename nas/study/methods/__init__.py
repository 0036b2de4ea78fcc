"""Methods of a study: where the networks of a row come from, one file per kind."""

from nas.study.methods.base import METHODS, AbstractMethod, Choice, MethodContext, MethodOptions

__all__ = ["METHODS", "AbstractMethod", "Choice", "MethodContext", "MethodOptions"]
