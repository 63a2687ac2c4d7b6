"""The page at ``/docs``, made on the server from the OpenAPI document.

One decision to know: it loads nothing from elsewhere. FastAPI's own page takes its scripts from a public network,
which a pod behind a proxy or a machine without one cannot reach. The document itself is at ``/openapi.json``, for
whatever reads such documents.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from peoplenet_nb.serve.limits import Limits

_STYLE = """
:root { color-scheme: light dark; --edge: #8884; --soft: #8881; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --accent: #56b4e9; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--edge); }
code, pre { font: 0.88em ui-monospace, monospace; }
pre { background: var(--soft); padding: 0.8rem; overflow-x: auto; }
details { border: 1px solid var(--edge); border-radius: 6px; margin: 0.4rem 0; padding: 0.35rem 0.8rem; }
summary { cursor: pointer; }
summary code { overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 3.4rem; color: var(--accent); }
summary span { opacity: 0.75; margin-left: 0.6rem; }
table { border-collapse: collapse; margin: 0.6rem 0; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.25rem 0.8rem 0.25rem 0; border-top: 1px solid var(--edge); }
th { border-top: 0; font-weight: 600; } td:first-child { white-space: nowrap; }
form { background: var(--soft); border: 1px solid var(--edge); border-radius: 6px; padding: 1rem; }
form label { display: inline-block; margin: 0.2rem 1rem 0.2rem 0; } input, select, button { font: inherit; }
[name=face] { width: 5em; }
#picture { max-width: 100%; margin-top: 1rem; display: none; }
"""
_SCRIPT = """
const form = document.getElementById('try'), said = document.getElementById('said');
const picture = document.getElementById('picture');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const query = new URLSearchParams();
  const draw = form.draw.checked;
  if (draw) query.set('draw', '1');
  if (form.preset.value) query.set('preset', form.preset.value);
  if (form.face.value) query.append('threshold', 'face=' + form.face.value);
  const headers = form.token.value ? { Authorization: 'Bearer ' + form.token.value } : {};
  said.textContent = 'asking …';
  picture.style.display = 'none';
  const began = performance.now();
  try {
    const answer = await fetch('detect?' + query, { method: 'POST', headers, body: form.image.files[0] });
    const took = Math.round(performance.now() - began) + ' ms';
    if (answer.ok && draw) {
      URL.revokeObjectURL(picture.src);
      picture.src = URL.createObjectURL(await answer.blob());
      picture.style.display = 'block';
      said.textContent = answer.headers.get('X-Boxes') + ' boxes in ' + took;
    } else {
      said.textContent = answer.status + ' in ' + took + '\\n' + JSON.stringify(await answer.json(), null, 2);
    }
  } catch (error) {
    said.textContent = String(error);
  }
});
"""


def docs_html(document: dict[str, Any], limits: Limits, presets: tuple[str, ...]) -> str:
    """Return the page.

    Parameters
    ----------
    document : dict
        The OpenAPI document.
    limits : Limits
        Of this service.
    presets : tuple of str
        To choose from.
    """
    info, sections = document["info"], dict[str, list[str]]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sections.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    routes = "".join(
        f"<h2>{_e(tag.capitalize() if tag.islower() else tag)}</h2>{''.join(all_)}"
        for tag, all_ in sections.items()
    )
    shell = (
        'curl -H "Authorization: Bearer $TOKEN" --data-binary @street.jpg \\\n'
        "  'http://HOST:PORT/detect?threshold=face=0.1'\n"
        'curl -H "Authorization: Bearer $TOKEN" -F image=@street.jpg \\\n'
        "  'http://HOST:PORT/detect?draw=1' -o out.jpg"
    )
    python = (
        "from peoplenet_nb.serve import Client\n\n"
        'client = Client("http://HOST:PORT", token="…")\n'
        'found = client.detect("street.jpg")  # tries again while the service is busy'
    )
    rows = [(one.metadata["about"], f"{getattr(limits, one.name):g}") for one in fields(limits)]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{_e(info['title'])}</title>"
        f"<meta name='viewport' content='width=device-width'><link rel='icon' href='data:,'>"
        f"<style>{_STYLE}</style></head><body>"
        f"<h1>{_e(info['title'])} {_e(info['version'])}</h1><p>{_e(info['description'])} "
        "The same as a document: <a href='openapi.json'>openapi.json</a>.</p>"
        f"<h2>Try it</h2>{_form(presets)}<pre id='said'>no picture yet</pre><img id='picture' alt='the answer'>"
        f"<h2>From a shell</h2><pre>{_e(shell)}</pre><h2>From Python</h2><pre>{_e(python)}</pre>"
        f"{routes}<h2>Limits of this service</h2>{_table(('limit', 'value'), rows)}"
        f"<script>{_SCRIPT}</script></body></html>"
    )


def _form(presets: tuple[str, ...]) -> str:
    options = "".join(f"<option>{_e(name)}</option>" for name in presets)
    return (
        "<form id='try'><label>Picture <input type='file' name='image' accept='image/*' required></label>"
        "<label>Preset <select name='preset'><option value=''>the service's settings</option>"
        f"{options}</select></label>"
        "<label>Threshold for faces <input name='face' type='number' min='0' max='1' step='0.01'></label>"
        "<label>Token <input name='token' type='password' autocomplete='off' size='12'></label>"
        "<label><input type='checkbox' name='draw' checked> draw the boxes</label><button>Detect</button></form>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>{_e(operation.get('description', ''))}</p>"]
    if asked := operation.get("parameters"):
        rows = [(p["name"], p.get("description", p["schema"].get("title", ""))) for p in asked]
        parts.append(_table(("parameter", "what for"), rows))
    if body := operation.get("requestBody"):
        kinds = ", ".join(body["content"])
        parts.append(f"<p><b>Body:</b> {_e(body.get('description', ''))} <code>{_e(kinds)}</code></p>")
    answers = [(status, one.get("description", "")) for status, one in operation["responses"].items()]
    parts.append(_table(("answer", "when"), sorted(answers)))
    summary = operation.get("description", operation.get("summary", "")).split("\n")[0]
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{_e(path)}</code><span>{_e(summary)}</span></summary>"
        f"{''.join(parts)}</details>"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{_e(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _e(text: str) -> str:
    return html.escape(text)
