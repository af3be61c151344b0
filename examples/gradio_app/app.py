"""A Gradio page that writes with a model of `lorelm serve`, through OpenAI's client.

    lorelm serve my-model
    python app.py

LORELM_URL is the address of the server, LORELM_API_KEY its key if it has one.
"""

import os
import sys
from collections.abc import Iterator

try:
    import gradio as gr
    from openai import APIConnectionError, APIStatusError, OpenAI
except ImportError:
    sys.exit("This example needs Gradio and OpenAI's client: pip install gradio openai")

URL = os.environ.get("LORELM_URL", "http://127.0.0.1:5000").rstrip("/")
# No retries: an error is shown at once, with its reason.
client = OpenAI(
    base_url=f"{URL}/v1", api_key=os.environ.get("LORELM_API_KEY", "none"), max_retries=0
)


def write(text: str, model: str, tokens: int, temperature: float) -> Iterator[str]:
    """Yield the text as the model continues it."""
    try:
        stream = client.completions.create(
            model=model, prompt=text, max_tokens=tokens, temperature=temperature, stream=True
        )
        for event in stream:
            text += event.choices[0].text
            yield text
    except APIConnectionError as error:
        raise gr.Error(f"No server at {URL}: has lorelm serve ended?") from error
    except APIStatusError as error:  # as the server says it, such as "too many requests"
        raise gr.Error(error.body["message"] if error.body else str(error)) from error


def page() -> gr.Blocks:
    """Return the page, with the models that the server has.

    Raises:
        APIConnectionError: there is no server.
    """
    models = [model.id for model in client.models.list()]
    with gr.Blocks(title="Write with LoreLM") as blocks:
        gr.Markdown("# Write with LoreLM\nBegin a text, and the model goes on.")
        text = gr.Textbox(label="Text", lines=10, value="The old house on the hill")
        with gr.Row():
            model = gr.Dropdown(models, value=models[0], label="Model")
            tokens = gr.Slider(5, 200, value=40, step=5, label="Tokens")
            temperature = gr.Slider(0, 1.5, value=0.8, step=0.1, label="Temperature")
        with gr.Row():
            go_on = gr.Button("Go on", variant="primary")
            stop = gr.Button("Stop")
        writing = go_on.click(write, [text, model, tokens, temperature], text, api_name="write")
        stop.click(None, cancels=[writing])
    return blocks


def main() -> None:
    try:
        page().launch()
    except APIConnectionError:
        sys.exit(f"No server at {URL}: start one with lorelm serve, or set LORELM_URL.")
    except APIStatusError as error:
        sys.exit(f"The server at {URL} refuses: {error}. LORELM_API_KEY is its key.")


if __name__ == "__main__":
    main()
