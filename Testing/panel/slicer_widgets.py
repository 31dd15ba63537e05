"""Stand-ins for the widgets of CTK and Slicer that the panel uses, on a real MRML scene."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


class ctkCollapsibleButton(QtWidgets.QFrame):
    """A titled section that can be folded."""

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(0, 22, 0, 0)

    def _get_text(self) -> str:
        return self._text

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self.setMaximumHeight(24 if collapsed else 16777215)
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            if collapsed:
                child.setMaximumHeight(0)

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

    def paintEvent(self, event: Any) -> None:
        """The title bar."""
        painter = QtGui.QPainter(self)
        bar = QtCore.QRect(0, 0, self.width(), 20)
        painter.fillRect(bar, self.palette().midlight())
        painter.drawText(
            bar.adjusted(6, 0, 0, 0), QtCore.Qt.AlignVCenter, f"{'▸' if self._collapsed else '▾'} {self._text}"
        )
        painter.end()


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box; numbers are cut to its decimals, as CTK does."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox()
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._slider.setRange(0, 1000)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._spin)
        self.setFocusProxy(self._spin)
        self._spin.valueChanged.connect(self._spun)
        self._slider.sliderMoved.connect(self._slid)

    def _spun(self, value: float) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._slider.setValue(round(1000 * (value - low) / (high - low)) if high > low else 0)
        self.valueChanged.emit(value)

    def _slid(self, place: int) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._spin.setValue(low + place / 1000 * (high - low))

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    decimals = QtCore.Property(int, lambda self: self._spin.decimals(), lambda self, n: self._spin.setDecimals(n))
    minimum = QtCore.Property(float, lambda self: self._spin.minimum(), lambda self, n: self._spin.setMinimum(n))
    maximum = QtCore.Property(float, lambda self: self._spin.maximum(), lambda self, n: self._spin.setMaximum(n))
    value = QtCore.Property(float, lambda self: self._spin.value(), lambda self, n: self._spin.setValue(n))
    suffix = QtCore.Property(str, lambda self: self._spin.suffix(), lambda self, t: self._spin.setSuffix(t))
    singleStep = QtCore.Property(
        float, lambda self: self._spin.singleStep(), lambda self, n: self._spin.setSingleStep(n)
    )


class qMRMLWidget(QtWidgets.QWidget):
    """Hands its scene on."""

    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """Offers the visible nodes of some classes of a scene, and follows the scene."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._scene: Any = None
        self._types: list[str] = []
        self._kept = {"showChildNodeTypes": True, "noneEnabled": False, "noneDisplay": "None"}
        self._kept |= {"addEnabled": True, "removeEnabled": True, "renameEnabled": False}
        self._tags: list[int] = []
        self._last: str | None = None
        self.currentIndexChanged.connect(self._changed)

    def _kept_property(name: str, kind: type) -> Any:
        def write(self: Any, value: Any) -> None:
            self._kept[name] = value
            self._fill()

        return QtCore.Property(kind, lambda self: self._kept[name], write)

    showChildNodeTypes = _kept_property("showChildNodeTypes", bool)
    noneEnabled = _kept_property("noneEnabled", bool)
    noneDisplay = _kept_property("noneDisplay", str)
    addEnabled = _kept_property("addEnabled", bool)
    removeEnabled = _kept_property("removeEnabled", bool)
    renameEnabled = _kept_property("renameEnabled", bool)

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)
        self._fill()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, _set_types)

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the nodes of this scene from now on; None ends it."""
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        names = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent") if scene else ()
        self._tags = [scene.AddObserver(getattr(scene, name), lambda *_: self._fill()) for name in names]
        self._fill()

    def _offered(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = []
        for kind in self._types:
            found = self._scene.GetNodesByClass(kind)
            found.UnRegister(None)
            for number in range(found.GetNumberOfItems()):
                node = found.GetItemAsObject(number)
                exact = self._kept["showChildNodeTypes"] or node.GetClassName() == kind
                # The transform class of the desktop's selectors stands for its linear child too.
                if (exact or kind == "vtkMRMLTransformNode") and not node.GetHideFromEditors() and node not in nodes:
                    nodes.append(node)
        return nodes

    def _fill(self) -> None:
        kept, self._filling = self.currentData(), True
        self.clear()
        self.addItem(self._kept["noneDisplay"], None)
        for node in self._offered():
            self.addItem(node.GetName(), node.GetID())
        self.setCurrentIndex(max(0, self.findData(kept) if kept else 0))
        self._filling = False
        self._changed()

    def _changed(self, _index: int = 0) -> None:
        if not getattr(self, "_filling", False) and self.currentData() != self._last:
            self._last = self.currentData()
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self) -> Any:
        name = self.currentData()
        return self._scene.GetNodeByID(name) if name and self._scene else None

    def setCurrentNode(self, node: Any) -> None:
        if node is not None and self.findData(node.GetID()) < 0:
            self._fill()
        self.setCurrentIndex(max(0, self.findData(node.GetID()) if node is not None else 0))


class qMRMLTableView(QtWidgets.QTableView):
    """Shows a table node through a model that sorts, as Slicer's does."""

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._node: Any = None
        self._proxy = QtCore.QSortFilterProxyModel(self)
        self.setModel(self._proxy)

    def setMRMLTableNode(self, node: Any) -> None:
        self._node, model = node, QtGui.QStandardItemModel(self)
        table = node.GetTable() if node else None
        for column in range(table.GetNumberOfColumns() if table else 0):
            model.setHorizontalHeaderItem(column, QtGui.QStandardItem(table.GetColumnName(column)))
            for row in range(table.GetNumberOfRows()):
                value = table.GetValue(row, column)
                item = QtGui.QStandardItem()
                number = value.ToDouble() if value.IsNumeric() else value.ToString()
                item.setData(round(number, 4) if isinstance(number, float) else number, QtCore.Qt.DisplayRole)
                model.setItem(row, column, item)
        self._proxy.setSourceModel(model)
        self.resizeColumnsToContents()

    def mrmlTableNode(self) -> Any:
        return self._node
