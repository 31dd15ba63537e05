"""The right side of the page: what is shown, the views themselves, and the scores below them."""

from __future__ import annotations

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame.widgets import vuetify3 as v
from trame_slicer.core import LayoutManager

from MedFusionLib.web.actions import Actions
from MedFusionLib.web.panel_method import FIELD

_NONE = "[{value: '', title: 'none'}, ...%s]"


def toolbar(actions: Actions) -> None:
    """Which volumes are shown, and how."""
    with html.Div(
        v_if=("sources.length",),
        classes="d-flex align-center px-3 pt-3 pb-2 mf-toolbar",
        style="gap: 10px; flex: none; background: #1b1b1b;",
    ):
        v.VSelect(v_model=("base",), items=("layers",), label="Shown", **FIELD)
        v.VSelect(v_model=("over",), items=(_NONE % "layers",), label="Over it", **FIELD)
        with v.VBtnToggle(v_model=("mode",), mandatory=True, density="compact", variant="outlined", divided=True):
            v.VBtn("Blend", value="blend", size="small")
            v.VBtn("Checkerboard", value="checkerboard", size="small")
        v.VSlider(
            v_if=("mode === 'blend'",),
            v_model=("opacity",),
            min=0,
            max=1,
            step=0.05,
            disabled=("!over",),
            raw_attrs=['title="How much of the upper volume is seen"'],
            **_SLIDER,
        )
        v.VSlider(
            v_if=("mode === 'checkerboard'",),
            v_model=("squares",),
            min=2,
            max=32,
            step=1,
            raw_attrs=['title="Squares along the longest side"'],
            **_SLIDER,
        )
        v.VSelect(v_model=("rendered",), items=(_NONE % "renderable",), label="In 3-D", **FIELD)
        v.VBtn(
            icon="mdi-fit-to-screen-outline",
            size="small",
            variant="text",
            raw_attrs=['title="Show everything"'],
            click=actions.display.fit,
        )


_SLIDER = {"density": "compact", "hide_details": True, "color": "primary", "style": "min-width: 110px;"}


def stage(actions: Actions, layout: LayoutManager, page: VAppLayout) -> None:
    """The views, below a welcome as long as there is nothing to see."""
    with html.Div(classes="mf-stage", style="flex: 1; min-height: 0; position: relative; background: #000;"):
        with html.Div(style="position: absolute; inset: 0; display: flex;"):
            layout.initialize_layout_grid(page)
        with html.Div(
            v_if=("!sources.length",),
            classes="d-flex flex-column align-center justify-center text-center",
            style="position: absolute; inset: 0; background: #121212; z-index: 5;",
        ):
            v.VIcon("mdi-layers-triple-outline", size=72, color="primary")
            html.Div("Drop two volumes of one patient here", classes="text-h5 mt-4")
            html.Div(
                "For example a CT and a PET, or two MR contrasts. They stay on the computer that runs MedFusion.",
                classes="text-medium-emphasis mt-2",
            )
            v.VBtn(
                "Try the phantom",
                color="primary",
                size="large",
                classes="mt-6",
                prepend_icon="mdi-head-outline",
                disabled=("busy",),
                click=actions.open_phantom,
            )
            v.VProgressCircular(v_if=("busy || uploading",), indeterminate=True, color="primary", classes="mt-6")


def scores() -> None:
    """The scores of all scored results, as a table whose cells are bars."""
    with html.Div(
        v_if=("scores_open && scores.rows.length",),
        classes="px-4 py-3 mf-scores",
        style="flex: none; max-height: 45%; overflow: auto; background: #1b1b1b;",
    ):
        with v.VTable(density="compact", style="background: transparent;"):
            with html.Thead(), html.Tr():
                html.Th("Metric")
                html.Th("{{ column.name }}", v_for="column in scores.columns", key="column.name")
                html.Th("")
            with html.Tbody(), html.Tr(v_for="row in scores.rows", key="row.metric"):
                html.Td("{{ row.title }}", title=("row.metric",))
                with (
                    html.Td(v_for="(cell, number) in row.cells", key="number", title=("cell.why",)),
                    html.Div(classes="d-flex align-center", style="gap: 10px;"),
                ):
                    with html.Div(classes="mf-bar"):
                        html.Div(style=("{width: cell.bar + '%', background: scores.columns[number].color}",))
                    html.Span("{{ cell.text }}", classes=("cell.best ? 'font-weight-bold' : ''",))
                html.Td("{{ row.better }}", classes="mf-small")
        html.Div(
            "Bars: 0 is a blank image, full is what two equal volumes give. Bold is the best of the results.",
            classes="mf-small mt-2",
        )
        html.Div("{{ note }}", v_for="note in scores.notes", key="note", classes="mf-small text-warning mt-1")
