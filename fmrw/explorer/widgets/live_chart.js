// The chart of an explorer: Vega draws the rows that the kernel sends, and tells it what the pointer does. See live_chart.py.
// `vegaEmbed` is a part of the bundle that offline.py makes of this file.

const SEND_MS = 10; // gestures that come closer together are sent as one

async function render({ model, el }) {
  el.classList.add("fmrw-chart");
  const options = { mode: "vega", renderer: "canvas", actions: false };
  const { view, finalize } = await vegaEmbed(el, structuredClone(model.get("spec")), options);

  let drawing = Promise.resolve();
  const show = () => {
    const { signals, data } = JSON.parse(model.get("marks"));
    for (const [name, value] of Object.entries(signals)) view.signal(name, value);
    for (const [name, rows] of Object.entries(data)) view.data(name, rows);
    drawing = view.runAsync();
  };

  let timer;
  let sent = 0;
  const send = () => {
    timer = undefined;
    sent = performance.now();
    model.set("gesture", JSON.parse(JSON.stringify(view.signal("gesture"))));
    model.save_changes();
  };
  view.addSignalListener("gesture", () => { timer ??= setTimeout(send, sent + SEND_MS - performance.now()); });

  model.on("change:marks", show);
  show();
  await drawing;
  return () => {
    clearTimeout(timer);
    model.off("change:marks", show);
    finalize();
  };
}

export default { render };
