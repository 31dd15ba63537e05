"""PySide6 under the conventions of PythonQt, which Slicer scripts are written in.

Properties are attributes (`button.enabled = True`, `label.text`), everything else is a method, and signals are
connected by signature (`button.connect("clicked(bool)", slot)`). What PythonQt refuses is refused: an attribute that is
neither a property nor a method of the class.
"""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

_MODULES = (QtWidgets, QtGui, QtCore)


def wrap(value: Any) -> Any:
    """An object of Qt as scripts see it; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(wrap(each) for each in value)
    return Wrapped(value) if isinstance(value, QtCore.QObject) else value


def unwrap(value: Any) -> Any:
    """The object of Qt behind what scripts see."""
    if isinstance(value, list | tuple):
        return type(value)(unwrap(each) for each in value)
    return object.__getattribute__(value, "qt_object") if isinstance(value, Wrapped) else value


class Wrapped:
    """One QObject. Two of the same object are equal."""

    def __init__(self, qt_object: QtCore.QObject):
        object.__setattr__(self, "qt_object", qt_object)

    def __getattr__(self, name: str) -> Any:
        target = self.qt_object
        if name == "name":
            return target.objectName()
        if target.metaObject().indexOfProperty(name) >= 0:
            return wrap(target.property(name))
        value = getattr(target, name)
        if isinstance(value, QtCore.SignalInstance):
            return value
        return lambda *given: wrap(value(*map(unwrap, given)))

    def __setattr__(self, name: str, value: Any) -> None:
        target = self.qt_object
        if target.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{type(target).__name__} has no property {name!r}")
        if not target.setProperty(name, unwrap(value)):
            raise TypeError(f"{name} of {type(target).__name__} does not take {value!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrapped) and self.qt_object is other.qt_object

    def __hash__(self) -> int:
        return hash(self.qt_object)

    def connect(self, signature: str, slot: Any) -> None:
        """Connect a signal to a function, as PythonQt does."""
        name = signature.split("(", maxsplit=1)[0]
        getattr(self.qt_object, name).connect(lambda *given: slot(*map(wrap, given[: _accepted(slot, len(given))])))


def _accepted(slot: Any, given: int) -> int:
    """How many of the values that a signal carries a function takes."""
    import inspect

    try:
        kinds = [p.kind for p in inspect.signature(slot).parameters.values()]
    except (TypeError, ValueError):
        return given
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return given
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(given, sum(kind in positional for kind in kinds))


class Constructor:
    """A class of Qt that makes wrapped objects."""

    def __init__(self, qt_class: type):
        self._qt_class = qt_class

    def __call__(self, *given: Any) -> Any:
        return wrap(self._qt_class(*map(unwrap, given)))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._qt_class, name)
        if isinstance(value, types.BuiltinFunctionType):
            return lambda *given: wrap(value(*map(unwrap, given)))
        return value


def qt_module() -> types.ModuleType:
    """The module `qt`."""
    module = types.ModuleType("qt")

    def find(name: str) -> Any:
        found = next((getattr(each, name) for each in _MODULES if hasattr(each, name)), None)
        if found is None:
            raise AttributeError(f"qt has no {name}")
        return Constructor(found) if isinstance(found, type) and issubclass(found, QtCore.QObject) else found

    module.__getattr__ = find  # type: ignore[method-assign]
    return module
