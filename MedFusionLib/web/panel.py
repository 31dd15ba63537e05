"""The page: five steps at the left, the views at the right. Only what it looks like; `actions` does the work."""

from __future__ import annotations

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import vuetify3 as v
from trame_server import Server
from trame_slicer.core import LayoutManager

from MedFusionLib.web.actions import Actions
from MedFusionLib.web.panel_method import FIELD, head, method_step
from MedFusionLib.web.panel_views import scores, stage, toolbar

_ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%233f8fd2' "
    "stroke-width='2'><path d='M12 3 3 9l9 6 9-6zM3 14l9 6 9-6'/></svg>"
)

_COLORS = {"primary": "#3f8fd2", "error": "#b3261e"}

_STYLE = """
html { overflow: hidden; }
.mf-step { padding: 10px 16px 12px; border-bottom: 1px solid rgba(255,255,255,.08); }
.mf-step-3 { position: sticky; bottom: 0; z-index: 2; background: rgb(var(--v-theme-surface)); }
.mf-head { display: flex; align-items: center; gap: 10px; font-weight: 600; margin-bottom: 8px; }
.mf-number { width: 24px; height: 24px; border-radius: 50%; display: grid; place-items: center; font-size: 13px;
  background: rgb(var(--v-theme-primary)); color: #fff; flex: none; }
.mf-small { font-size: 12px; line-height: 1.35; color: rgba(255,255,255,.65); }
.mf-drop { border: 1.5px dashed rgba(255,255,255,.3); border-radius: 8px; padding: 8px; text-align: center;
  cursor: pointer; display: block; }
.mf-drop:hover, .mf-dropping { border-color: rgb(var(--v-theme-primary)); background: rgba(86,180,233,.08); }
.mf-source { background: rgba(255,255,255,.04); border-radius: 8px; padding: 6px 6px 8px; margin-bottom: 8px; }
.mf-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 14px; }
.mf-view-name { position: absolute; top: 8px; right: 12px; font-size: 13px; font-weight: 600; pointer-events: none;
  text-shadow: 0 0 4px #000; }
.mf-red { color: #F34A33; } .mf-green { color: #6DAD4A; } .mf-yellow { color: #EFD64D; } .mf-threed { color: #ddd; }
.mf-bar { height: 8px; border-radius: 4px; background: rgba(255,255,255,.1); overflow: hidden; width: 120px; }
.mf-bar > div { height: 100%; }
.layout-grid-container { gap: 2px; }
.layout-grid-container > div { min-width: 0; min-height: 0; }
"""


def build(server: Server, actions: Actions, layout: LayoutManager) -> None:
    """Make the page, with this layout of views."""
    server.state.trame__title = "MedFusion"
    server.state.trame__favicon = _ICON
    theme = {"theme": {"defaultTheme": "dark", "themes": {"dark": {"colors": _COLORS}}}}
    with VAppLayout(server, vuetify_config=theme) as page:
        page.root.theme = "dark"
        client.Style(_STYLE)
        _bar()
        with v.VNavigationDrawer(permanent=True, width=384):
            _volumes(actions)
            method_step()
            _run(actions)
            _scores(actions)
            _download()
        with (
            v.VMain(style="height: 100vh;"),
            html.Div(
                classes="d-flex flex-column",
                style="height: 100%; position: relative;",
            ),
        ):
            toolbar(actions)
            _error()
            stage(actions, layout, page)
            scores()


def _bar() -> None:
    with v.VAppBar(density="compact", height=48, elevation=1):
        v.VIcon("mdi-layers-triple", color="primary", classes="ml-4 mr-2")
        html.Span("MedFusion", classes="text-h6")
        html.Span("fuses CT, MR, PET and SPECT of one patient", classes="mf-small ml-3 mt-1")
        v.VSpacer()
        html.Span("Research software: not for clinical use", classes="mf-small mr-4")


def _volumes(actions: Actions) -> None:
    with html.Div(classes="mf-step mf-step-1"):
        head(1, "Volumes")
        with html.Div(v_for="source in sources", key="source.id", classes="mf-source"):
            with html.Div(classes="d-flex align-center"):
                v.VCheckboxBtn(
                    model_value=("source.used",),
                    update_modelValue="source.used = $event; flushState('sources')",
                    density="compact",
                    color="primary",
                    raw_attrs=['title="Fuse this volume"'],
                    style="flex: none;",
                )
                html.Div("{{ source.name }}", classes="mf-name flex-grow-1", title=("source.name",))
                v.VSelect(
                    model_value=("source.modality",),
                    update_modelValue=(actions.set_modality, "[source.id, $event]"),
                    items=("modalities",),
                    disabled=("source.fixed || busy",),
                    density="compact",
                    variant="outlined",
                    hide_details=True,
                    raw_attrs=[':title="`The modality: ${source.origin}`"'],
                    style="max-width: 112px; min-width: 112px;",
                    classes="mx-1 mf-modality",
                )
                v.VBtn(
                    icon="mdi-close",
                    size="x-small",
                    variant="text",
                    raw_attrs=['title="Remove"'],
                    disabled=("busy",),
                    click=(actions.remove, "[source.id]"),
                )
            with html.Div(classes="d-flex align-center pl-2"):
                with html.Label(classes="mf-small d-flex align-center", style="cursor: pointer; gap: 6px;"):
                    html.Input(
                        type="radio",
                        name="reference",
                        checked=("reference === source.id",),
                        change="reference = source.id",
                    )
                    html.Span("reference", title="Its grid is the result's; the others are moved to it")
                v.VSpacer()
                html.Span("{{ source.detail }}", classes="mf-small")
            with html.Div(v_if="source.guess", classes="mf-small text-warning pl-2"):
                v.VIcon("mdi-help-circle-outline", size="x-small", classes="mr-1")
                html.Span("{{ source.modality }} is a guess by the name or the values: please check.")
        with html.Label(
            classes=("dropping ? 'mf-drop mf-dropping' : 'mf-drop'",),
        ):
            html.Input(
                type="file",
                multiple=True,
                style="display: none;",
                classes="mf-file",
                change="window.medfusion.upload($event.target.files); $event.target.value = ''",
            )
            with html.Div(v_if=("!uploading",)):
                v.VIcon("mdi-tray-arrow-up", size="small", classes="mr-1")
                html.Span("Drop files here, or click to choose")
                html.Div(
                    "NIfTI, NRRD, MHA, PNG, DICOM files or a DICOM .zip",
                    v_if=("!sources.length",),
                    classes="mf-small mt-1",
                )
            html.Div("{{ uploading }}", v_if=("uploading",), classes="text-primary")
        v.VBtn(
            "Try the phantom",
            v_if=("!sources.length",),
            block=True,
            variant="tonal",
            color="primary",
            classes="mt-3",
            prepend_icon="mdi-head-outline",
            disabled=("busy",),
            click=actions.open_phantom,
        )


def _run(actions: Actions) -> None:
    with html.Div(classes="mf-step mf-step-3"):
        head(3, "Run")
        v.VBtn(
            "Fuse",
            block=True,
            color="primary",
            prepend_icon="mdi-play",
            v_if=("!busy",),
            disabled=("sources.filter((source) => source.used).length < 2",),
            click=actions.run,
        )
        with html.Div(v_if=("busy",)):
            v.VProgressLinear(model_value=("progress",), height=8, rounded=True, color="primary")
            v.VBtn(
                "Cancel",
                block=True,
                variant="tonal",
                classes="mt-2",
                prepend_icon="mdi-stop",
                disabled=("cancelling",),
                click=actions.work.cancel,
            )
        html.Div("{{ message }}", v_if=("message",), classes="mf-small mt-2 mf-message")
        v.VAlert(
            "{{ note }}",
            v_for="note in notes",
            key="note",
            type="warning",
            variant="tonal",
            density="compact",
            classes="mt-2 text-body-2",
        )


def _scores(actions: Actions) -> None:
    with html.Div(classes="mf-step mf-step-4"):
        head(4, "Scores")
        v.VSelect(
            v_if=("results.length",),
            v_model=("result",),
            items=("results",),
            label="Result",
            classes="mb-2",
            **FIELD,
        )
        html.Div(
            "Fuse first: then see how much of each volume the result kept.", v_if="!results.length", classes="mf-small"
        )
        with html.Div(v_if=("results.length",), classes="d-flex", style="gap: 8px;"):
            v.VBtn(
                "Score this result",
                variant="tonal",
                color="primary",
                classes="flex-grow-1",
                prepend_icon="mdi-chart-bar",
                disabled=("busy || scored",),
                click=actions.score,
            )
            v.VBtn(
                "{{ scores_open ? 'Hide' : 'Show' }}",
                v_if=("scores.rows.length",),
                variant="text",
                click="scores_open = !scores_open",
            )


def _download() -> None:
    with html.Div(classes="mf-step mf-step-5"):
        head(5, "Download")
        with html.Div(classes="d-flex", style="gap: 8px;"):
            for title, kind in (("NIfTI", "nii.gz"), ("NRRD", "nrrd"), ("Scene", "mrb")):
                v.VBtn(
                    title,
                    variant="tonal",
                    classes="flex-grow-1",
                    # Without it the page would believe that it is being left, and end its connection.
                    raw_attrs=["download"],
                    href=(f"`download?kind={kind}&result=${{result}}`",),
                    disabled=("!results.length || busy",),
                )
        html.Div("The scene holds volumes, results and scores: open it in 3D Slicer.", classes="mf-small mt-2")


def _error() -> None:
    v.VAlert(
        "{{ error }}",
        v_if=("error",),
        type="error",
        closable=True,
        density="compact",
        classes="mf-error",
        click_close="error = ''",
        style="flex: none; border-radius: 0;",
    )
