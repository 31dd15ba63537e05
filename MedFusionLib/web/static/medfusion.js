// Sends dropped or chosen files to the tab's own server, one after another, as they are: no copy in memory.
window.medfusion = {
  async upload(list) {
    const trame = window.trame;
    const files = [...list];
    if (!files.length || trame.state.get("uploading")) return;
    const total = files.reduce((sum, file) => sum + file.size, 0);
    let before = 0;
    try {
      for (const file of files) {
        await send(file, (sent) => {
          const share = total ? Math.round((100 * (before + sent)) / total) : 100;
          trame.state.set("uploading", `Uploading ${file.name}: ${share} %`);
        });
        before += file.size;
      }
      trame.trigger("files_came");
    } catch (error) {
      trame.trigger("files_refused", [error.message]);
    }
    trame.state.set("uploading", "");
  },
};

function send(file, tell) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `upload?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => tell(event.loaded);
    request.onload = () => (request.status === 204 ? done() : fail(new Error(request.responseText || request.statusText)));
    request.onerror = () => fail(new Error(`Upload ${file.name}: the connection broke off. Is the server running?`));
    tell(0);
    request.send(file);
  });
}

// Files may be dropped anywhere: where nobody catches them, the browser would leave the page to show them.
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  if (!window.trame.state.get("dropping")) window.trame.state.set("dropping", true);
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) window.trame.state.set("dropping", false);
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  window.trame.state.set("dropping", false);
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
  const folder = entries.find((entry) => entry && entry.isDirectory);
  if (folder) {
    const fix = "Pack it into a .zip, or drop the files in it";
    window.trame.trigger("files_refused", [`Upload ${folder.name}: found a folder; accepted: files. ${fix}`]);
  } else {
    window.medfusion.upload(event.dataTransfer.files);
  }
});
