"use strict";

// Rendering: h returns a virtual node, and patch changes the document to match it. Unchanged nodes stay, with selection and
// focus. Text becomes text nodes only, never markup.
const svg = "http://www.w3.org/2000/svg";
const h = (tag, attrs, ...kids) => ({ tag, attrs: attrs || {}, kids: kids.flat(9).filter(k => k !== null && k !== undefined && k !== false && k !== "") });

function create(v, space) {
	if (typeof v !== "object") return document.createTextNode(String(v));
	if (v.tag === "svg") space = svg;
	const node = space ? document.createElementNS(space, v.tag) : document.createElement(v.tag);
	update(node, { attrs: {}, kids: [] }, v, space);
	return node;
}

function update(node, old, v, space) {
	if (old === v) return;
	for (const k in old.attrs) if (!(k in v.attrs)) k === "click" ? (node.onclick = null) : node.removeAttribute(k);
	for (const k in v.attrs) {
		if (k === "click") node.onclick = v.attrs[k];
		else if (old.attrs[k] !== v.attrs[k]) node.setAttribute(k, v.attrs[k]);
	}
	if (v.tag === "svg") space = svg;
	for (let i = 0; i < v.kids.length; i++) {
		const was = old.kids[i], is = v.kids[i], child = node.childNodes[i];
		if (was === undefined) node.appendChild(create(is, space));
		else if (typeof was !== typeof is || was.tag !== is.tag) node.replaceChild(create(is, space), child);
		else if (typeof is === "object") update(child, was, is, space);
		else if (was !== is) child.nodeValue = String(is);
	}
	while (node.childNodes.length > v.kids.length) node.removeChild(node.lastChild);
}

const rendered = new Map();
function patch(id, ...kids) {
	const node = document.getElementById(id), v = h(id, {}, kids);
	if (!rendered.has(id)) node.replaceChildren();
	update(node, rendered.get(id) || { attrs: {}, kids: [] }, v);
	rendered.set(id, v);
}

// Formatting.
const plural = (n, word) => n + " " + word + (n === 1 ? "" : "s");
const absent = t => !t || t.startsWith("0001-");
const words = { ipv4: "IPv4", ipv6: "IPv6" };
const tone = { up: "good", unproven: "poor", down: "bad", absent: "bad", standby: "soft" };
const shape = { up: "\u25cf", unproven: "\u25b2", down: "\u25a0", absent: "\u25cb", standby: "\u25d0" }; // as colour alone is not accessible

function ms(seconds) {
	const n = seconds * 1000;
	return n < 9.95 ? n.toFixed(1) + "\u202fms" : n < 999.5 ? n.toFixed(0) + "\u202fms" : seconds.toFixed(1) + "\u202fs";
}
const percent = p => (p > 0 && p < 1 ? "<1" : p.toFixed(0)) + "\u202f%";

function ago(now, then) {
	const s = Math.max(0, Math.round((new Date(now) - new Date(then)) / 1000));
	if (s < 60) return s + "\u202fs";
	if (s < 3600) return Math.floor(s / 60) + "\u202fmin";
	if (s < 86400) return Math.floor(s / 3600) + "\u202fh " + Math.floor(s % 3600 / 60) + "\u202fmin";
	return plural(Math.floor(s / 86400), "day");
}
function clock(at, day) {
	const d = new Date(at), two = n => String(n).padStart(2, "0");
	const time = [d.getHours(), d.getMinutes(), d.getSeconds()].map(two).join(":");
	return day ? d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate()) + " " + time : time;
}
const state = s => h("span", { class: "state " + (tone[s] || "bad") }, (shape[s] || "") + " " + s);

// The chart of the last hour: the mean round-trip time as a line, the slowest answer of each minute as a whisker, and the
// losses as bars below.
const minutes = 60, tall = 84, floor = 67, ceiling = 16; // losses are below the floor, the label of the scale is above the ceiling
function niceCeiling(max) {
	const unit = Math.pow(10, Math.floor(Math.log10(max)));
	return [1, 1.5, 2, 3, 5, 7.5, 10].find(n => n * unit >= max) * unit;
}
const charts = new WeakMap();
function chart(history) {
	if (!charts.has(history)) charts.set(history, drawChart(history));
	return charts.get(history);
}
function drawChart(history) {
	const all = history.slice(-minutes), answered = all.filter(s => s.sent > s.lost);
	const sent = all.reduce((n, s) => n + s.sent, 0), lost = all.reduce((n, s) => n + s.lost, 0);
	if (sent === 0) return h("div", { class: "chart" }, h("svg", { viewBox: "0 0 600 84", "aria-hidden": "true" }), h("span", { class: "none" }, "no probes in the last hour"));
	const means = answered.map(s => s.rtt_mean_seconds).sort((a, b) => a - b);
	const top = means.length ? niceCeiling(Math.max(means[means.length - 1] * 1.1, means[means.length >> 1] * 2, 0.0001)) : 0;
	const y = v => +(floor - Math.min(1, v / top) * (floor - ceiling)).toFixed(1);
	const parts = [floor, ceiling].map(at => h("line", { class: "grid", x1: 0, x2: 600, y1: at, y2: at })), hits = [];
	let run = [];
	const close = () => {
		if (run.length === 1) run = [[run[0][0] - 4, run[0][1]], [run[0][0] + 4, run[0][1]]];
		const path = run.map(p => p.join(",")).join(" ");
		if (run.length) parts.push(h("polygon", { class: "area", points: run[0][0] + "," + floor + " " + path + " " + run[run.length - 1][0] + "," + floor }), h("polyline", { class: "mean", points: path }));
		run = [];
	};
	all.forEach((s, i) => {
		const x = (minutes - all.length + i) * 10;
		if (s.sent > s.lost) {
			run.push([x + 5, y(s.rtt_mean_seconds)]);
			const up = y(s.rtt_max_seconds), down = y(s.rtt_mean_seconds);
			if (down - up >= 1) parts.push(h("rect", { class: "whisker", x: x + 3.5, y: up, width: 3, height: +(down - up).toFixed(1) }));
		} else close();
		if (s.lost > 0) {
			const high = Math.max(3, 14 * s.lost / s.sent);
			parts.push(h("rect", { class: "lost", x: x + 1, y: +(tall - high).toFixed(1), width: 8, height: +high.toFixed(1) }));
		}
		const what = s.sent === 0 ? "no probes" : (s.sent > s.lost ? ms(s.rtt_mean_seconds) + " mean, " + ms(s.rtt_max_seconds) + " max; " : "") + s.lost + " of " + s.sent + " lost";
		hits.push(h("rect", { class: "hit", x, y: 0, width: 10, height: tall }, h("title", {}, clock(s.at).slice(0, 5) + ": " + what)));
	});
	close();
	const label = "The last hour: " + (means.length ? "mean round-trip times per minute of " + ms(means[0]) + " to " + ms(means[means.length - 1]) + "; " : "") + lost + " of " + sent + " probes lost.";
	return h("div", { class: "chart" },
		h("svg", { viewBox: "0 0 600 84", preserveAspectRatio: "none", role: "img", "aria-label": label }, parts, hits),
		top ? h("span", { class: "top" }, ms(top)) : null,
		h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "1\u202fh ago"), h("span", {}, lost ? plural(lost, "probe") + " lost" : "no losses"), h("span", {}, "now")));
}

// One family of an uplink.
function measures(probes) {
	const good = probes.filter(p => !p.bad_target && p.sent > 0), timed = good.filter(p => p.rtt_mean_seconds > 0);
	const mean = (all, of) => all.reduce((n, p) => n + of(p), 0) / all.length;
	if (!good.length) return null;
	const loss = mean(good, p => p.loss_percent);
	return h("span", { class: "measure" }, timed.length ? [h("b", {}, ms(mean(timed, p => p.rtt_mean_seconds)))] : null,
		h("b", { class: loss >= 20 ? "bad" : loss > 0 ? "poor" : "" }, percent(loss)), " lost");
}

function probes(all) {
	if (!all.length) return null;
	return h("table", { class: "probes" }, h("thead", {}, h("tr", {}, h("th", {}, "probe"), h("th", {}, "target"), h("th", { class: "n" }, "last"), h("th", { class: "n" }, "lost"))),
		h("tbody", {}, all.map(p => [
			h("tr", {}, h("td", {}, h("span", { class: p.up ? "good" : "bad" }, p.up ? "\u2713 " : "\u2717 "), p.name), h("td", {}, h("span", { class: "addr" }, p.target)),
				h("td", { class: "n" }, p.rtt_seconds > 0 ? ms(p.rtt_seconds) : "\u2013"), h("td", { class: "n" }, p.sent ? percent(p.loss_percent) : "\u2013")),
			p.bad_target ? h("tr", {}, h("td", { class: "error", colspan: 4 }, "bad target: answers on no uplink, and is ignored")) : null,
			p.error && !p.up ? h("tr", {}, h("td", { class: "error", colspan: 4 }, p.error)) : null])));
}

const result = { yes: ["good", "\u2713 proven"], no: ["bad", "\u2717 broken"] };
function check(name, what, c) {
	const [colour, text] = c.result === "yes" && c.cause ? ["poor", "! warning"] : result[c.result] || ["soft", "? unknown"];
	return h("li", { title: what }, h("span", { class: "soft" }, name + " "), h("span", { class: colour }, text));
}
function why(c) {
	if (!c.why && !c.remedy) return null;
	return h("div", { class: c.result === "no" ? "why bad-why" : "why" }, c.why ? h("p", {}, c.why, c.cause ? h("span", { class: "soft" }, " (" + c.cause + ")") : null) : null, c.remedy ? h("p", {}, "Remedy: " + c.remedy) : null);
}
function proof(p, verdict, now) {
	const stray = p.seen.stray > 0;
	return h("section", { class: "proof", "aria-label": "reply path" },
		h("ul", {}, check("verdict", "of all checks together", verdict), check("route lookup", "of a request and of its reply, in the kernel", p.asked), check("trace", "of an injected request and its reply", p.shown),
			h("li", { title: "first replies of real connections" }, h("span", { class: "soft" }, "replies "), p.seen.symmetric.toLocaleString("en") + " symmetric, ", h("span", { class: stray ? "bad" : "" }, p.seen.stray.toLocaleString("en") + " stray")),
			absent(p.at) ? null : h("li", { class: "soft" }, ago(now, p.at) + " ago")),
		why(p.asked), p.shown.why === p.asked.why ? null : why(p.shown), p.strays.result === "no" ? why(p.strays) : null);
}

function family(f, now) {
	const route = [f.source, f.gateway].filter(Boolean).join(" \u2192 ");
	return h("section", { class: "family", "aria-label": words[f.family] || f.family },
		h("div", { class: "head" }, h("h3", {}, words[f.family] || f.family), state(f.state), h("span", { class: "when" }, absent(f.since) ? "" : ago(now, f.since)), measures(f.probes)),
		f.reason ? h("p", { class: "reason " + (tone[f.state] || "") }, f.reason) : null,
		f.degraded ? h("p", { class: "reason poor" }, "Degraded: " + f.degraded) : null,
		f.hold_down_seconds ? h("p", { class: "reason" }, "Held down after flaps: probes must be answered for another " + Math.ceil(f.hold_down_seconds) + "\u202fs.") : null,
		route ? h("p", { class: "route addr" }, route) : null,
		f.history.length ? chart(f.history) : null, probes(f.probes), proof(f.proof, f.verdict, now),
		f.state_changes ? h("p", { class: "soft proof" }, plural(f.state_changes, "state change") + ", " + plural(f.flaps, "flap")) : null);
}

// The routers of an uplink with several.
function routers(all, now) {
	if (!all || !all.length) return null;
	return h("table", { class: "probes routers" }, h("thead", {}, h("tr", {}, h("th", {}, "router"), h("th", {}, "addresses"), h("th", { class: "n" }, "requests"), h("th", { class: "n" }, "seen"))),
		h("tbody", {}, all.map(r => h("tr", { "data-router": r.mac }, h("td", {}, h("span", { class: "addr" }, r.mac)), h("td", {}, h("span", { class: "addr" }, r.addresses.join(", "))),
			h("td", { class: "n" }, r.requests.toLocaleString("en")), h("td", { class: "n" }, absent(r.seen) ? "\u2013" : ago(now, r.seen) + " ago")))));
}

function card(u, now) {
	return h("article", { class: u.families.length > 1 ? "card wide" : "card", "data-uplink": u.name, "data-state": u.state }, h("div", { class: "head" }, h("h2", {}, u.name), h("span", { class: "addr" }, u.interface + " \u00b7 id " + u.id), state(u.state)),
		u.families.length ? h("div", { class: "families" }, u.families.map(f => family(f, now))) : h("p", { class: "family soft" }, "No gateway is configured for any family."),
		routers(u.router_activity, now));
}

// What each policy for outbound connections uses.
function policies(o, now) {
	if (!o) return null;
	const uplink = (name, family) => o.uplinks.find(u => u.uplink === name && u.family === family) || { connections: 0 };
	const part = m => m.share_percent ? percent(m.share_percent) : m.state === "usable" ? "standby" : m.state;
	const moves = o.uplinks.filter(u => u.last_move);
	return h("section", { class: "outbound", "aria-label": "outbound connections" }, h("h2", {}, "Outbound connections"),
		h("table", {}, h("thead", {}, h("tr", {}, ["policy", "tier", "uplinks", "since"].map(t => h("th", {}, t)))),
			h("tbody", {}, o.policies.map(p => h("tr", { "data-policy": p.policy + " " + p.family },
				h("td", {}, p.policy + " " + (words[p.family] || p.family)),
				h("td", {}, h("span", { class: p.tier === 0 ? "bad" : p.tier > 1 ? "poor" : "good" }, p.tier || p.last_resort)),
				h("td", {}, p.members.map(m => [h("span", { class: "member" + (m.share_percent ? "" : " soft") }, m.uplink + " " + part(m) + (absent(o.counted_at) ? "" : ", " + plural(uplink(m.uplink, p.family).connections, "connection"))), " "]),
					p.reason ? h("div", { class: "soft" }, p.reason) : null),
				h("td", {}, absent(p.since) ? "" : ago(now, p.since)))))),
		moves.length ? h("ul", {}, moves.map(u => h("li", { class: "soft" }, clock(u.last_move.at, true) + " " + u.uplink + " " + (words[u.family] || u.family) + ": " +
			plural(u.last_move.connections + u.last_move.second_sweep, "connection") + (u.last_move.sockets ? " and " + u.last_move.sockets + " of this host" : "") + " moved: " + u.last_move.reason))) : null);
}

// Transparent proxies, each socket a line.
const proxyStates = { listening: ["good", "\u25cf listening"], nobody: ["bad", "\u25a0 no program listens"], "not-transparent": ["bad", "\u25a0 not transparent"], "not-answering": ["bad", "\u25a0 does not answer"] };
function proxyBox(all, now) {
	if (!all || !all.length) return null;
	return h("section", { class: "proxies card", "aria-label": "transparent proxies" }, h("h2", {}, "Transparent proxies"),
		h("table", {}, h("thead", {}, h("tr", {}, ["intercept", "proxy", "state"].map(t => h("th", {}, t)))), h("tbody", {}, all.map(p => {
			const [colour, text] = proxyStates[p.state] || ["soft", "? unknown"], gone = colour === "bad" ? (p.without === "drop" ? ": new connections are dropped" : ": new connections pass") : "";
			return h("tr", { "data-proxy": p.intercept + " " + p.family, "data-state": p.state }, h("td", {}, p.intercept), h("td", {}, h("span", { class: "addr" }, p.protocol + " " + p.proxy), " " + (words[p.family] || p.family)),
				h("td", {}, h("span", { class: colour }, text), gone, absent(p.since) ? null : h("span", { class: "soft" }, " for " + ago(now, p.since)), p.error ? h("div", { class: "error" }, p.error) : null));
		}))));
}

// The whole page.
function headline(s) {
	const list = all => all.length > 3 ? all.length + " of " + plural(s.uplinks.length, "uplink") + " are" : all.length === 1 ? all[0] + " is" : all.slice(0, -1).join(", ") + " and " + all[all.length - 1] + " are";
	const named = state => s.uplinks.filter(u => u.state === state).map(u => u.name);
	const problems = ["down", "absent", "unproven"].map(state => [state, named(state)]).filter(t => t[1].length).map(t => list(t[1]) + " " + t[0]).join(", ");
	const resting = named("standby"), working = named("up");
	if (!s.uplinks.length) return ["soft", "No uplinks"];
	if (problems) return [named("down").length + named("absent").length ? "bad" : "poor", problems];
	const all = resting.length ? (working.length ? list(working) + " up, " : "") + list(resting) + " standby" : s.uplinks.length === 1 ? s.uplinks[0].name + " is up" : s.uplinks.length === 2 ? "Both uplinks are up" : "All " + s.uplinks.length + " uplinks are up";
	return s.in_sync && s.healthy ? ["good", all] : ["bad", all + ", but the service has problems"];
}

let showAll = false;
function events(all) {
	const newest = all.slice().reverse(), shown = showAll ? newest : newest.slice(0, 20);
	return h("section", { class: "events", "aria-label": "events" }, h("h2", {}, "Events"), all.length ? null : h("p", { class: "soft" }, "No events since the service started."),
		h("ol", {}, shown.map(e => h("li", { "data-event": e.id }, h("span", { class: "soft" }, clock(e.at, true)), h("span", { class: "soft" }, e.kind), h("span", {}, e.text)))),
		newest.length > 20 ? h("button", { type: "button", click: () => { showAll = !showAll; draw(); } }, showAll ? "Show the last 20" : "Show all " + newest.length) : null);
}

function draw() {
	const s = current;
	if (!s) return;
	const [colour, text] = headline(s), now = s.at, repairs = Object.values(s.repairs).reduce((a, b) => a + b, 0);
	const fact = (name, value, cls) => h("li", {}, name + " ", h("b", { class: cls || "" }, value));
	const c = s.configuration, refused = s.reload && s.reload.error;
	const notes = c ? [c.why && !(refused && ["unconfirmed", "invalid"].includes(c.state)) ? c.why + ", which is not in force: " + c.remedy : "",
		c.confirm_by ? "The configuration is rolled back at " + clock(c.confirm_by) + " unless it is confirmed: replypath confirm" : "",
		c.unsaved ? "The configuration is not saved for the next start: " + c.unsaved : ""].filter(t => t) : [];
	const problems = s.problems.concat(notes, s.error && !s.problems.some(p => p.includes(s.error)) ? [s.error] : [], s.reload && s.reload.error ? ["The last reload was refused at " + clock(s.reload.at) + ": " + s.reload.error] : []);
	patch("top", h("p", { class: "brand" }, h("span", {}, "replypath " + s.build), h("span", {}, "as of " + clock(now))),
		h("h1", { class: colour }, text),
		h("ul", { class: "facts" }, fact("kernel", (s.in_sync ? "in sync" : "not in sync") + (absent(s.since) ? "" : " for " + ago(now, s.since)), s.in_sync ? "" : "bad"),
			fact("changes", s.changes), fact("repairs", repairs + (repairs ? " (" + Object.keys(s.repairs).sort().filter(k => s.repairs[k]).map(k => s.repairs[k] + " " + k).join(", ") + ")" : "")),
			s.repairs_waiting ? fact("repairs deferred", s.repairs_waiting, "poor") : null, s.drift ? fact("missing in the last round", s.drift, "poor") : null,
			absent(s.last_round) ? null : fact("last round", ago(now, s.last_round) + " ago"), absent(s.started) ? null : fact("uptime", ago(now, s.started))),
		problems.length ? h("ul", { class: "problems" }, problems.map(p => h("li", {}, p))) : null);
	patch("main", s.uplinks.length ? h("div", { class: "cards" }, s.uplinks.map(u => card(u, now))) : h("p", { class: "empty" }, "No uplink is configured."), policies(s.outbound, now), proxyBox(s.proxies, now), events(s.events));
	document.title = text + " \u2013 replypath";
	const dot = { good: "#2a9d5c", poor: "#d39a2d", bad: "#d6403f", soft: "#8a8f94" }[colour];
	const icon = "data:image/svg+xml," + encodeURIComponent('<svg xmlns="' + svg + '" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="' + dot + '"/></svg>');
	const link = document.getElementById("icon");
	if (link.href !== icon) link.href = icon;
}

// The connection to the service.
let current = null, source = null, lastEvent = 0, retryTimer = 0;
function showConnection(text) {
	const node = document.getElementById("link");
	document.body.classList.toggle("stale", text !== "" && current !== null);
	if (node.textContent !== text) node.textContent = text;
	node.hidden = text === "";
}
function receive(s, complete) {
	lastEvent = Date.now();
	if (!complete && current) { // a "pulse" has no histories and events
		const before = new Map();
		for (const u of current.uplinks) for (const f of u.families) before.set(u.name + "/" + f.family, f.history);
		for (const u of s.uplinks) for (const f of u.families) f.history = before.get(u.name + "/" + f.family) || f.history;
		s.events = current.events;
	}
	current = s;
	showConnection("");
	draw();
}
function connect() {
	clearTimeout(retryTimer);
	if (source) source.close();
	source = new EventSource("/events");
	source.addEventListener("status", e => receive(JSON.parse(e.data), true));
	source.addEventListener("pulse", e => receive(JSON.parse(e.data), false));
	source.onerror = () => {
		showConnection(current ? "Connection lost, retrying. The page shows the status of " + clock(current.at, true) + "." : "No connection to the service, retrying.");
		source.close(); // EventSource does not retry after an HTTP error
		retryTimer = setTimeout(connect, 2000);
	};
}
document.addEventListener("visibilitychange", () => {
	if (document.hidden) {
		clearTimeout(retryTimer);
		if (source) source.close();
	} else connect();
});
setInterval(() => {
	if (!document.hidden && current && Date.now() - lastEvent > 10000) {
		lastEvent = Date.now();
		showConnection("No data for 10 seconds, retrying. The page shows the status of " + clock(current.at, true) + ".");
		connect();
	}
}, 1000);
connect();
