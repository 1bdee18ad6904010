//! What operators see: log records on stderr and the text of `/metrics`.

mod lines;

use crate::config::{Format, Log};
use cluster::host::Host;
use lines::Lines;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{
    io::{IsTerminal, Write},
    panic,
    time::Duration,
};
use tracing_subscriber::{
    EnvFilter, fmt, fmt::MakeWriter, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

/// Samples of summaries are folded this often, also when nobody reads `/metrics`. Nothing else runs on that thread
/// meanwhile: the samples of five busy seconds took 3 to 15 ms.
const UPKEEP_EVERY: Duration = Duration::from_millis(250);
/// The end of a process waits at most this long for who reads its log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Quantiles of every summary; they cover the last minute.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];

/// Why nothing can be seen. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.filter` cannot be read.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// This process has telemetry already.
    #[error("telemetry was started twice in one process")]
    Twice,
    /// The thread that writes log records could not be started.
    #[error("log records cannot be written: {0}")]
    Thread(#[from] std::io::Error),
}

/// The recorded metrics and the way of log records.
#[derive(Clone)]
pub struct Telemetry {
    metrics: PrometheusHandle,
    lines: Lines,
}

impl Telemetry {
    /// Starts writing log records and recording metrics, once in a process. Panics become log records.
    pub fn start(log: &Log) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(&log.filter)?;
        let terminal = std::io::stderr().is_terminal();
        let text = match log.format {
            Format::Auto => terminal,
            Format::Text => true,
            Format::Json => false,
        };
        let lines = Lines::start(std::io::stderr())?;
        let layer = fmt::layer().with_writer(lines.clone()).with_ansi(terminal);
        let started = if text {
            registry().with(filter).with(layer).try_init()
        } else {
            registry().with(filter).with(layer.json().flatten_event(true).with_span_list(false)).try_init()
        };
        started.map_err(|_| TelemetryError::Twice)?;
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let what = info.payload_as_str().unwrap_or("not a text");
            tracing::error!(place, what, "panic");
        }));
        let recorder = PrometheusBuilder::new()
            .set_quantiles(&QUANTILES)
            .expect("there are quantiles, all within 0 and 1")
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice)?;
        describe();
        Ok(Self { metrics: handle, lines })
    }
    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        self.metrics.render()
    }
    /// Waits until what was logged is written: the last thing a process does.
    pub fn flush(&self) {
        self.lines.flush(FLUSH_TIMEOUT);
    }
    /// Passes a record of another process on, a whole line.
    pub fn pass_on(&self, line: &[u8]) {
        let _ = self.lines.make_writer().write_all(line); // into memory
    }
    /// Folds samples until the machine stops.
    pub fn keep_up(&self, host: &Host) {
        let (handle, clock) = (self.metrics.clone(), host.clone());
        host.spawn("metrics upkeep", async move {
            loop {
                clock.sleep(UPKEEP_EVERY).await;
                handle.run_upkeep();
            }
        });
    }
}

/// What the names mean, as `# HELP` of the text.
fn describe() {
    metrics::describe_gauge!("ws_connections_active", "Sessions that are open.");
    metrics::describe_gauge!(
        "ws_handshakes_pending",
        "Connections that have yet to send their first request."
    );
    metrics::describe_gauge!("waggle_http_connections", "Connections that speak HTTP.");
    metrics::describe_histogram!(
        "message_delivery_latency_p99",
        "Seconds from a post to its write to a socket."
    );
    metrics::describe_histogram!(
        "message_persist_latency_p99",
        "Seconds from an append to its being durable."
    );
    metrics::describe_histogram!(
        "waggle_channel_load_seconds",
        "Seconds to read what a channel needs before its first command."
    );
    metrics::describe_counter!(
        "store_qps",
        "Calls of the store, by operation; its rate is queries per second."
    );
    metrics::describe_histogram!(
        "fan_out_ratio",
        "Copies of an event, one for each gateway node that listens, by the size of the conversation."
    );
    metrics::describe_counter!(
        "api_calls_total",
        "Calls of the Web API, by method and whether they were ok."
    );
    metrics::describe_counter!(
        "waggle_gateway_refusals_total",
        "What a limit of the gateway refused, by limit."
    );
    metrics::describe_counter!("waggle_http_errors_total", "HTTP connections that ended before their time.");
    metrics::describe_counter!("waggle_http_requests_total", "HTTP requests answered, by route and status.");
    metrics::describe_histogram!("waggle_http_request_seconds", "Seconds to an HTTP answer, by route.");
    metrics::describe_counter!("waggle_task_panics_total", "Tasks that ended by a panic.");
    metrics::describe_counter!(
        "waggle_ws_closes_unanswered_total",
        "Close frames that the peer did not answer."
    );
    metrics::describe_counter!(
        "waggle_ws_frames_refused_total",
        "Frames that ended their connection, by reason."
    );
}
