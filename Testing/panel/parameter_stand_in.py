"""A stand-in for Slicer's parameterNodeWrapper: it stores into a real node and binds real widgets.

Written from Slicer's documentation and source of that wrapper: the same storage (text parameters, and node references
so that a saved scene finds its nodes again), the same strictness about types, and the same binding by the property
SlicerParameterName. Only what a panel of ours may ask of it is here; the rest is refused.
"""

from __future__ import annotations

import contextlib
import typing
from typing import Any, Union, get_args, get_origin

import slicer
import vtk

from pythonqt import unwrap
from slicer_widgets import qMRMLNodeComboBox

_TEXTS = {str: (str, str), int: (str, int), bool: (lambda value: str(bool(value)), lambda text: text == "True")}


def _node_classes(kind: Any) -> list[type]:
    """The node classes of an annotation; empty if it is none of nodes."""
    parts = get_args(kind) if get_origin(kind) is Union else (kind,)
    classes = [part for part in parts if isinstance(part, type) and issubclass(part, slicer.vtkMRMLNode)]
    return classes if len(classes) == len([part for part in parts if part is not type(None)]) else []


class _Stored:
    """One value in the parameter node."""

    def __init__(self, kind: Any):
        self._kind, self._classes = kind, tuple(_node_classes(kind))
        if not self._classes and kind not in _TEXTS:
            raise TypeError(f"no serializer for {kind}")
        self._none = not self._classes or type(None) in get_args(kind)

    @property
    def default(self) -> Any:
        return None if self._classes else self._kind()

    def write(self, node: Any, name: str, value: Any) -> None:
        if self._classes:
            if not (value is None and self._none) and not isinstance(value, self._classes):
                raise TypeError(f"{name} takes {self._classes}, not {value!r}")
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        else:
            if type(value) is not self._kind:
                raise TypeError(f"{name} takes {self._kind.__name__}, not {value!r}")
            node.SetParameter(name, _TEXTS[self._kind][0](value))

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name) if self._classes else _TEXTS[self._kind][1](node.GetParameter(name))

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        if self._classes:
            node.RemoveNodeReferenceIDs(name)


class _StoredList:
    """A list of values, each stored by its own."""

    def __init__(self, kind: Any):
        self._each = _Stored(get_args(kind)[0])

    default: typing.ClassVar[list[Any]] = []

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}_len") or 0)

    def write(self, node: Any, name: str, values: Any) -> None:
        before = self._length(node, name)
        for number, value in enumerate(values):
            self._each.write(node, f"{name}_{number}", value)
        node.SetParameter(f"{name}_len", str(len(values)))
        for number in range(len(values), before):
            self._each.remove(node, f"{name}_{number}")

    def read(self, node: Any, name: str) -> tuple[Any, ...]:
        return tuple(self._each.read(node, f"{name}_{number}") for number in range(self._length(node, name)))

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}_len"))


@contextlib.contextmanager
def _modifying(node: Any) -> Any:
    before = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(before)


def parameterNodeWrapper(described: type) -> type:
    """Class decorator: typed attributes over a vtkMRMLScriptedModuleNode, and binding to widgets."""
    stored = {
        name: (_StoredList if get_origin(kind) is list else _Stored)(kind)
        for name, kind in typing.get_type_hints(described).items()
    }
    defaults = {name: vars(described).get(name, each.default) for name, each in stored.items()}

    class Wrapper(_Bound):
        _stored = stored

        def __init__(self, parameterNode: Any):
            self.parameterNode, self._bound, self._next = parameterNode, {}, 0
            with _modifying(parameterNode):
                for name, each in stored.items():
                    if not each.is_in(parameterNode, name):
                        each.write(parameterNode, name, defaults[name])

    for name in stored:
        setattr(Wrapper, name, _attribute(name))
    Wrapper.__name__, Wrapper.__doc__ = described.__name__, described.__doc__
    return Wrapper


def _attribute(name: str) -> property:
    def write(self: Any, value: Any) -> None:
        with _modifying(self.parameterNode):
            self._stored[name].write(self.parameterNode, name, value)

    return property(lambda self: self._stored[name].read(self.parameterNode, name), write)


class _Bound:
    """The binding to widgets, and what the wrapper hands on to its node."""

    def connectGui(self, ui: Any) -> int:
        """Bind the widgets that name a parameter; returns what `disconnectGui` takes."""
        widgets = [unwrap(widget) for widget in vars(ui).values()]
        pairs = [(widget.property("SlicerParameterName"), widget) for widget in widgets]
        self._next += 1
        self._bound[self._next] = [_Connector(self, name, widget) for name, widget in pairs if name]
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        self._tags = {**getattr(self, "_tags", {}), self._next: tag}
        self._show()
        return self._next

    def disconnectGui(self, tag: int) -> None:
        self.RemoveObserver(self._tags.pop(tag))
        for connector in self._bound.pop(tag):
            connector.active = False

    def _show(self) -> None:
        for connectors in self._bound.values():
            for connector in connectors:
                connector.show()

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> int:
        return self.parameterNode.EndModify(before)


class _Connector:
    """One widget and the parameter it names."""

    def __init__(self, wrapper: Any, name: str, widget: Any):
        if name not in wrapper._stored:
            raise ValueError(f"no parameter {name}")
        self._wrapper, self._name, self._widget, self.active, self._showing = wrapper, name, widget, True, False
        if isinstance(widget, qMRMLNodeComboBox):
            widget.nodeTypes = [each.__name__ for each in wrapper._stored[name]._classes]
            widget.currentNodeChanged.connect(self._changed)
        elif type(widget).__name__ == "QCheckBox":
            widget.toggled.connect(self._changed)
        else:
            raise RuntimeError(f"no connector of {name} to {type(widget).__name__}")

    def show(self) -> None:
        self._showing = True
        value = getattr(self._wrapper, self._name)
        if isinstance(self._widget, qMRMLNodeComboBox):
            self._widget.setCurrentNode(value)
        else:
            self._widget.setChecked(value)
        self._showing = False

    def _changed(self, value: Any) -> None:
        if self.active and not self._showing:
            setattr(self._wrapper, self._name, value)
