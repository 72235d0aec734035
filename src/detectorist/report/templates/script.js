"use strict";
(() => {
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const root = document.documentElement;

  // Dark or light: the system's choice until the reader makes one.
  const theme = document.getElementById("theme");
  const isDark = () => {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const keep = (value) => { try { localStorage.setItem("detectorist-theme", value); } catch { /* no storage */ } };
  try { const kept = localStorage.getItem("detectorist-theme"); if (kept) root.dataset.theme = kept; } catch { /* no storage */ }
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.hidden = false;
  nameTheme();
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    nameTheme();
    colourPlots();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameTheme(); colourPlots(); });

  // Sorting: a button in every heading; empty cells stay last.
  const tables = all("table.index");
  const valueOf = (cell, kind) => {
    if (kind === "text") return cell.textContent.trim();
    return cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
  };
  const sortBy = (table, heading) => {
    const column = Array.from(heading.parentNode.children).indexOf(heading);
    const kind = heading.dataset.sort;
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [valueOf(row.cells[column], kind), row]);
    rows.sort(([a], [b]) => {
      if (kind === "text") return direction * a.localeCompare(b, undefined, { numeric: true });
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return direction * (a - b);
    });
    body.append(...rows.map(([, row]) => row));
    for (const other of all("th[aria-sort]", table.tHead)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  };
  for (const table of tables) {
    for (const heading of all("th[data-sort]", table.tHead)) {
      const label = heading.querySelector(".heading");
      const button = document.createElement("button");
      button.type = "button";
      label.replaceWith(button);
      button.append(label);
      button.addEventListener("click", () => sortBy(table, heading));
    }
  }

  // Filters and search.
  const filters = document.getElementById("filters");
  const search = document.getElementById("search");
  const state = document.getElementById("state");
  const onlyFlagged = document.getElementById("only-attention");
  const shown = document.getElementById("shown");
  const rows = tables.flatMap((table) => Array.from(table.tBodies[0].rows));
  const reasons = new Map(all(".suspects > li").map((item) => [item.querySelector("a").hash, item.textContent]));
  const texts = rows.map((row) => {
    const link = row.querySelector("a");
    return (row.textContent + " " + (reasons.get(link.hash) || "")).toLowerCase();
  });
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, index) => {
      const fits = (!state.value || row.dataset.state === state.value)
        && (!onlyFlagged.checked || "attention" in row.dataset)
        && words.every((word) => texts[index].includes(word));
      row.hidden = !fits;
      count += fits;
    });
    const noun = rows.length === 1 ? "exposure" : "exposures";
    shown.textContent = count === rows.length ? `${count} ${noun}` : `${count} of ${rows.length} ${noun}`;
  };
  filters.hidden = false;
  for (const kind of ["input", "change"]) filters.addEventListener(kind, filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // Folding, and links that unfold what they lead to.
  document.getElementById("folding").hidden = false;
  for (const button of all("[data-unfold]")) {
    button.addEventListener("click", () => {
      for (const one of all("details.exposure")) one.open = button.dataset.unfold === "true";
    });
  }
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#exposure-']");
    if (link && link.hash === location.hash) reveal();
  });

  // Pictures of one field, one over the other: buttons, a slider between the first two, and blinking.
  for (const stack of all("[data-blink]")) {
    const frames = all(".frame", stack);
    if (frames.length < 2) continue;
    const bar = document.createElement("p");
    bar.className = "buttons";
    const nameOf = (frame) => frame.querySelector("figcaption").textContent.split(":")[0];
    let timer = 0;
    const show = (index) => {
      stack.classList.remove("sliding");
      slider.hidden = sides.hidden = true;
      frames.forEach((frame, number) => { frame.hidden = number !== index; });
      buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(number === index)));
      slide.setAttribute("aria-pressed", "false");
    };
    const make = (text, act) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", act);
      bar.append(button);
      return button;
    };
    const stop = () => { clearInterval(timer); timer = 0; blink.setAttribute("aria-pressed", "false"); };
    const buttons = frames.map((frame, index) => make(nameOf(frame), () => { stop(); show(index); }));
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: "0", max: "100", value: "50", hidden: true });
    slider.setAttribute("aria-label", `Boundary between ${nameOf(frames[0])} and ${nameOf(frames[1])}`);
    const sides = document.createElement("p");
    sides.className = "sides";
    sides.append(...frames.slice(0, 2).map((frame) => {
      const side = document.createElement("span");
      side.textContent = nameOf(frame);
      return side;
    }));
    const cut = () => stack.style.setProperty("--cut", `${slider.value}%`);
    slider.addEventListener("input", cut);
    const slide = make("Slider", () => {
      stop();
      show(0);
      frames[1].hidden = false;
      stack.classList.add("sliding");
      slider.hidden = sides.hidden = false;
      buttons.forEach((button) => button.setAttribute("aria-pressed", "false"));
      slide.setAttribute("aria-pressed", "true");
      cut();
    });
    const blink = make("Blink", () => {
      if (timer) { stop(); return; }
      let index = 0;
      blink.setAttribute("aria-pressed", "true");
      // The first two are before and after.
      timer = setInterval(() => { index = 1 - index; show(index); }, 700);
    });
    blink.setAttribute("aria-pressed", "false");
    stack.prepend(bar, slider, sides);
    if (stack.dataset.blink === "slider") slide.click(); else show(0);
  }

  // Values of an image under the cursor: its colours are looked up in its palette.
  const readOff = (view, told) => {
    const image = view.querySelector("image");
    let pixels = null;
    const load = () => {
      const picture = new Image();
      picture.addEventListener("load", () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [picture.width, picture.height];
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        pixels = context.getImageData(0, 0, picture.width, picture.height);
      });
      picture.src = image.getAttribute("href");
    };
    const known = JSON.parse(view.dataset.view);
    const indexes = new Map(known.palette.map((colour, index) => [colour.join(), index]));
    const [left, top, width, height] = known.box;
    view.addEventListener("pointerenter", () => { if (!pixels) load(); });
    view.addEventListener("pointerleave", () => { told.textContent = ""; });
    view.addEventListener("pointermove", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.getScreenCTM().inverse());
      const [x, y] = [(place.x - left) / width, (place.y - top) / height];
      if (!pixels || x < 0 || y < 0 || x >= 1 || y >= 1) { told.textContent = ""; return; }
      const [column, row] = [Math.floor(x * pixels.width), Math.floor(y * pixels.height)];
      const start = 4 * (row * pixels.width + column);
      const index = indexes.get(Array.from(pixels.data.slice(start, start + 3)).join());
      const beyond = index === 0 ? "\u2264 " : index === 254 ? "\u2265 " : "";
      const value = index === undefined || index === 255 ? "no value" : `${beyond}${known.values[index]} ${known.unit}`;
      told.textContent = `column ${Math.floor(x * known.shape[1])}, row ${Math.floor((1 - y) * known.shape[0])}: ${value}`;
    });
  };
  for (const view of all("svg.view")) {
    const told = document.createElement("output");
    told.className = "readout";
    view.parentNode.append(told);
    readOff(view, told);
  }

  // Light curves to zoom, drawn when they come into view; without bokeh the still drawing stays.
  const colourPlots = () => {
    if (!window.Bokeh) return;
    const ink = getComputedStyle(document.body).color;
    for (const document_ of window.Bokeh.documents) {
      for (const model of document_._all_models.values()) {
        const changes = {};
        for (const name of ["axis_label_text_color", "major_label_text_color", "label_text_color", "title_text_color",
          "axis_line_color", "major_tick_line_color", "minor_tick_line_color", "outline_line_color", "grid_line_color"]) {
          if (name in model.properties) changes[name] = ink;
        }
        if (Object.keys(changes).length) model.setv(changes);
      }
    }
  };
  const draw = async (place) => {
    const data = place.querySelector("script");
    if (!data) return;
    const item = JSON.parse(data.textContent);
    data.remove();
    place.hidden = false;
    try {
      await window.Bokeh.embed.embed_item(item, place);
      const still = place.previousElementSibling;
      if (still) still.hidden = true;
      colourPlots();
    } catch (error) {
      place.hidden = true;
      console.warn("the interactive figure could not be drawn", error);
    }
  };
  // Bokeh is packed on the page: it makes up most of it otherwise.
  const unpack = async (element) => {
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    element.replaceWith(script);
  };
  const drawPlots = () => {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target.nextElementSibling); }
      }
    }, { rootMargin: "200px" });
    for (const still of all("[data-still]")) seen.observe(still);
  };
  const library = document.getElementById("bokeh");
  if (library && window.DecompressionStream) unpack(library).then(drawPlots);

  reveal();
  root.dataset.ready = "true";
})();
