"""Step 2 of the page: the method and a form for its parameters, drawn from what the registry tells."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v

FIELD = {"density": "compact", "variant": "outlined", "hide_details": True}
"""How menus and text fields of the page look."""


def head(number: int, title: str) -> None:
    """The heading of a step."""
    with html.Div(classes="mf-head"):
        html.Div(str(number), classes="mf-number")
        html.Span(title)


def method_step() -> None:
    """The step."""
    with html.Div(classes="mf-step mf-step-2"):
        head(2, "Method")
        v.VSelect(v_model=("method",), items=("method_items",), label="Fusion method", classes="mf-method", **FIELD)
        html.Div("{{ facts.summary }}", classes="mf-small mt-1 mb-2", title=("facts.reference",))
        with html.Div(v_for="field in fields", key="method + field.name", classes="mt-2"):
            changed = "parameters[field.name] = $event; flushState('parameters')"
            with html.Div(v_if="field.kind === 'number'", title=("field.help",)):
                with html.Div(classes="mf-small d-flex"):
                    html.Span("{{ field.label }}", classes="flex-grow-1")
                    html.Span("{{ parameters[field.name] }} {{ field.unit }}")
                v.VSlider(
                    model_value=("parameters[field.name]",),
                    update_modelValue=changed,
                    min=("field.low",),
                    max=("field.high",),
                    step=("field.step",),
                    density="compact",
                    hide_details=True,
                    color="primary",
                )
            v.VSelect(
                v_if="field.kind === 'choice'",
                model_value=("parameters[field.name]",),
                update_modelValue=changed,
                items=("field.options",),
                label=("field.label",),
                raw_attrs=[':title="field.help"'],
                **FIELD,
            )
            v.VTextField(
                v_if="field.kind === 'text'",
                model_value=("parameters[field.name]",),
                update_modelValue=changed,
                label=("`${field.label} (${field.accepted})`",),
                raw_attrs=[':title="field.help"'],
                **FIELD,
            )
            v.VSwitch(
                v_if="field.kind === 'switch'",
                model_value=("parameters[field.name]",),
                update_modelValue=changed,
                label=("field.label",),
                raw_attrs=[':title="field.help"'],
                density="compact",
                hide_details=True,
                color="primary",
            )
        with html.Div(classes="d-flex mt-3", style="gap: 8px;"):
            v.VSelect(v_model=("register",), items=("registrations",), label="Register first", **FIELD)
            v.VSelect(
                v_model=("color",),
                items=("colors",),
                label="Color of PET, SPECT",
                classes="mf-color",
                raw_attrs=['title="auto: RGB only if an input is; a table colors the uptake"'],
                **FIELD,
            )
        v.VSwitch(
            v_model=("live",),
            label="Live preview in the axial view",
            density="compact",
            hide_details=True,
            color="primary",
            classes="mt-2 mf-live",
            disabled=("sources.length < 2",),
        )
        html.Div("{{ live_text }}", v_if=("live_text",), classes="mf-small")
