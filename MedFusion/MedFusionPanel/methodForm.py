"""Choosing a method by its family, and a form for its parameters that is made from its signature."""

import html
import re

import ctk
import qt
from slicer.i18n import tr as _

from MedFusionPanel.parameters import keepSettings, settingsOf
from MedFusionPanel.widgets import choose, fillChoices, inTabOrder, say

ALL = ""
_MANY_DECADES = 1e4


def familyTitles():
    """The families of methods, as people call them."""
    return {
        "transform": _("Blending and multi-scale"),
        "sparse": _("Sparse representation"),
        "pulse": _("Pulse-coupled neurons"),
        "cnn": _("Convolutional networks"),
        "gan": _("Adversarial networks"),
        "unified": _("Unified networks"),
        "flagship": _("Flagship"),
    }


class Field:
    """A widget for one parameter.

    Args:
        parameter: of a method.
        onChanged: called when the user changes it.
    """

    def __init__(self, parameter, onChanged):
        self._parameter = parameter
        self.widget, signal, self._read, self._write = self._made()
        self.widget.objectName = f"{parameter.name}Parameter"
        self.widget.toolTip = f"{parameter.help} ({parameter.accepted})"
        self.widget.connect(signal, onChanged)

    @property
    def value(self):
        """What it shows (ParameterError if that cannot be)."""
        return self._parameter.checked(self._read())

    @value.setter
    def value(self, value):
        self._write(value)

    def _made(self):
        """The widget, the signal of a change, and functions that read and write it."""
        parameter, bounds = self._parameter, self._parameter.bounds
        if parameter.kind is bool:
            box = qt.QCheckBox()
            return box, "toggled(bool)", lambda: box.checked, box.setChecked
        if hasattr(bounds, "options"):
            combo = qt.QComboBox()
            fillChoices(combo, [(option, option) for option in bounds.options])
            return combo, "currentIndexChanged(int)", lambda: combo.currentData, lambda value: choose(combo, value)
        if bounds.low > 0 and bounds.high / bounds.low >= _MANY_DECADES:
            # A slider has no room for it: its decimals would cut the small values off.
            line = qt.QLineEdit()
            return line, "editingFinished()", lambda: line.text, lambda value: line.setText(f"{value:g}")
        slider = self._slider()
        return slider, "valueChanged(double)", lambda: parameter.kind(slider.value), slider.setValue

    def _slider(self):
        slider, bounds = ctk.ctkSliderWidget(), self._parameter.bounds
        whole = self._parameter.kind is int
        slider.decimals = 0 if whole else 3
        slider.minimum, slider.maximum = bounds.low, bounds.high
        slider.singleStep = 1 if whole else (bounds.high - bounds.low) / 100
        slider.suffix = f" {bounds.unit}".rstrip()
        return slider


class MethodForm:
    """The chooser and the form, bound to the parameter node.

    Args:
        ui: the panel's widgets.
        logic: knows the methods.
        onProblem: called when a value cannot be, and when it was mended.
    """

    def __init__(self, ui, logic, onProblem):
        self._ui, self._methods, self._onProblem = ui, logic.methods(), onProblem
        self._parameterNode, self._refreshing, self._fields, self._shown = None, False, {}, None
        self.problem = ""
        titles = familyTitles()
        families = [family for family in titles if any(m.family == family for m in self._methods.values())]
        fillChoices(ui.familyComboBox, [(_("All families"), ALL), *((titles[family], family) for family in families)])
        self._offer(ALL)
        ui.familyComboBox.connect("currentIndexChanged(int)", self.onFamilyChanged)
        ui.methodComboBox.connect("currentIndexChanged(int)", self.onMethodChanged)
        ui.resetButton.connect("clicked(bool)", self.onReset)

    def refresh(self, parameterNode):
        """Show what the parameter node holds."""
        self._parameterNode, self._refreshing = parameterNode, True
        try:
            name = parameterNode.method if parameterNode.method in self._methods else "laplacian"
            if self._ui.methodComboBox.findData(name) < 0:
                choose(self._ui.familyComboBox, ALL)
                self._offer(ALL)
            choose(self._ui.methodComboBox, name)
            if name != self._shown:
                self._build(name)
            if not self.problem:
                # What cannot be stays where it was typed, to be mended.
                self._fill(name)
        finally:
            self._refreshing = False

    def _fill(self, name):
        """Show the values that are kept of a method's parameters."""
        chosen = settingsOf(self._parameterNode, name)
        for parameter, field in self._fields.items():
            field.value = chosen.get(parameter, self._methods[name].parameters[parameter].default)

    def _offer(self, family):
        """Offer the methods of a family, or all."""
        offered = [m for m in self._methods.values() if family in (ALL, m.family)]
        fillChoices(self._ui.methodComboBox, [(m.title, m.name) for m in sorted(offered, key=lambda m: m.title)])

    def _build(self, name):
        """Show the sentence and the reference of a method, and a row for each of its parameters."""
        method, self._shown = self._methods[name], name
        self._say("")
        self._ui.methodLabel.text = (
            f"{html.escape(method.summary)}<br><small>{_linked(html.escape(method.reference))}</small>"
        )
        form = self._ui.parametersFrame.layout()
        while form.rowCount():
            form.removeRow(0)
        self._fields = {}
        for parameter in method.parameters.values():
            field = self._fields[parameter.name] = Field(parameter, self.onParameterChanged)
            label = qt.QLabel(parameter.name.replace("_", " ").capitalize() + ":")
            label.setBuddy(field.widget)
            form.addRow(label, field.widget)
        fields = [field.widget for field in self._fields.values()]
        inTabOrder([self._ui.methodComboBox, *fields, self._ui.resetButton])
        self._ui.resetButton.visible = bool(method.parameters)

    def onFamilyChanged(self, _index=None):
        """Offer the methods of this family."""
        if self._refreshing:
            return
        self._refreshing = True
        self._offer(self._ui.familyComboBox.currentData)
        choose(self._ui.methodComboBox, self._parameterNode and self._parameterNode.method)
        self._refreshing = False
        self.onMethodChanged()

    def onMethodChanged(self, _index=None):
        """Keep the chosen method."""
        if not self._refreshing and self._parameterNode is not None and self._ui.methodComboBox.count:
            self._parameterNode.method = self._ui.methodComboBox.currentData

    def onParameterChanged(self, _value=None):
        """Keep the parameters that differ from their defaults; what cannot be is said and not kept."""
        from MedFusionLib.errors import ParameterError

        if self._refreshing or self._parameterNode is None:
            return
        known = self._methods[self._shown].parameters
        try:
            values = {name: field.value for name, field in self._fields.items()}
        except ParameterError as error:
            self._say(str(error))
            self._onProblem()
            return
        mended = bool(self.problem)
        self._say("")
        if mended:
            self._onProblem()
        changed = {name: value for name, value in values.items() if value != known[name].default}
        keepSettings(self._parameterNode, self._shown, changed)

    def onReset(self, _checked=False):
        """Go back to the defaults of this method."""
        self._say("")
        keepSettings(self._parameterNode, self._shown, {})
        self.refresh(self._parameterNode)
        self._onProblem()

    def _say(self, text):
        self.problem = text
        say(self._ui.parameterLabel, text, True)


def _linked(reference):
    """The reference with its DOIs as links."""
    return re.sub(r"\b(10\.\d{4,}/[^\s;,]+)", r'<a href="https://doi.org/\1">\1</a>', reference)
