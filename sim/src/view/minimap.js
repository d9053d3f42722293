// ---- The whole diagram, small --------------------------------------------------------------------------

class Minimap {
  constructor(diagram) {
    this.canvas = document.getElementById("minimap");
    this.diagram = diagram;
    const go = (event) => {
      const share = (event.offsetY - 4) / (this.canvas.clientHeight - 8);
      const { scroll, rows } = this.diagram;
      scroll.scrollTop = share * rows.length * ROW - scroll.clientHeight / 2;
    };
    this.canvas.addEventListener("pointerdown", (event) => { this.canvas.setPointerCapture(event.pointerId); go(event); });
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) go(event); });
  }

  /** Everything but what changes with every scroll is drawn once, and kept. */
  prepare() {
    const { canvas, diagram } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    this.kept = document.createElement("canvas");
    [this.kept.width, this.kept.height] = [canvas.width, canvas.height];
    const paper = this.kept.getContext("2d");
    paper.scale(ratio, ratio);
    this.style = getComputedStyle(document.documentElement);
    const total = Math.max(1, diagram.rows.length * ROW);
    this.scale = (y) => 4 + (y / total) * (height - 8);
    this.drawBands(paper);
    this.drawLanes(paper, width);
    this.drawLikelihood(paper, width);
    this.drawFacts(paper, width);
    this.draw();
  }

  colour(name) {
    return this.style.getPropertyValue(`--${name}`).trim();
  }

  drawBands(paper) {
    const { run } = this.diagram;
    for (const band of run.bands) {
      const [y1, y2] = [this.scale(this.diagram.y(run.at(band.step))), this.scale(this.diagram.y(run.at(band.until)))];
      paper.fillStyle = this.colour(band.kind === "core" ? "line" : "fault-fill");
      const x = { partition: 2, clog: 6, pause: 10, late: 10, core: 2 }[band.kind];
      paper.fillRect(x, y1, 3, Math.max(1.5, y2 - y1));
    }
  }

  drawLanes(paper, width) {
    const { run, lanes } = this.diagram;
    const replicas = lanes.filter((node) => node < run.replicas);
    const room = (width - 18 - (likelihood.points.length > 0 ? width * 0.35 : 4)) / Math.max(1, replicas.length);
    replicas.forEach((node, lane) => {
      for (const { from, to, role, view } of run.segments[node]) {
        const [y1, y2] = [this.scale(this.diagram.y(from)), this.scale(this.diagram.y(to))];
        if (role === "down") continue;
        // Thin where the replica does not take part: no colour is needed to see it.
        const full = role === "primary" ? 1 : role === "backup" ? 0.66 : role === "witness" ? 0.45 : 0.25;
        const colour = colourOf(role, view);
        paper.fillStyle = this.colour(colour === "none" ? "soft" : colour);
        paper.fillRect(16 + lane * room + (room - 2) * (1 - full) / 2, y1, (room - 2) * full, Math.max(0.7, y2 - y1));
      }
    });
  }

  /** How likely the failure is from each point on: to the right is certain. */
  drawLikelihood(paper, width) {
    if (likelihood.points.length === 0) return;
    const { run } = this.diagram;
    const [left, room] = [width * 0.66, width * 0.3];
    paper.strokeStyle = this.colour("line");
    paper.strokeRect(left + 0.5, 4.5, room, this.canvas.clientHeight - 9);
    paper.strokeStyle = this.colour("wrong");
    paper.lineWidth = 2;
    paper.beginPath();
    for (const { step, failed, of } of likelihood.points) {
      paper.lineTo(left + (failed / of) * room, this.scale(this.diagram.y(run.at(step))));
    }
    paper.stroke();
    paper.fillStyle = this.colour("wrong");
    for (const step of likelihood.decisive) {
      paper.beginPath();
      paper.arc(left + (likelihood.after(step) / 100) * room, this.scale(this.diagram.y(run.at(step))), 3.5, 0, 7);
      paper.fill();
    }
    paper.fillStyle = this.colour("soft");
    paper.font = "9px sans-serif";
    paper.strokeStyle = this.colour("paper");
    paper.strokeText("fails?", left + 2, 15);
    paper.fillText("fails?", left + 2, 15);
  }

  drawFacts(paper, width) {
    const { run } = this.diagram;
    paper.fillStyle = this.colour("wrong");
    for (const fact of run.violation?.facts ?? []) {
      const y = this.scale(this.diagram.y(run.at(fact.step)));
      paper.fillRect(0, y - 1, width, 2.5);
    }
  }

  draw() {
    const { canvas, diagram } = this;
    const paper = canvas.getContext("2d");
    paper.setTransform(1, 0, 0, 1, 0, 0);
    paper.clearRect(0, 0, canvas.width, canvas.height);
    paper.drawImage(this.kept, 0, 0);
    const ratio = window.devicePixelRatio || 1;
    paper.scale(ratio, ratio);
    const [y1, y2] = [diagram.scroll.scrollTop, diagram.scroll.scrollTop + diagram.scroll.clientHeight].map(this.scale);
    paper.strokeStyle = this.colour("ink");
    paper.lineWidth = 1.5;
    paper.strokeRect(1, y1, canvas.clientWidth - 2, Math.max(4, Math.min(y2, canvas.clientHeight - 3) - y1));
    if (diagram.selected >= 0) {
      paper.fillStyle = this.colour("focus");
      paper.fillRect(0, this.scale(diagram.y(diagram.selected)) - 1, canvas.clientWidth, 2);
    }
  }
}

