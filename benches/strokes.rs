//! Drawing `strokes`: 60,000 training and 10,000 test images, on as many cores as there are.
//!
//! ```text
//! taskset -c 0 cargo bench --bench strokes        one core
//! ```

use criterion::Criterion;
use lth::config::DataConfig;
use lth::data::load;

fn main() {
    let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": "strokes" })).expect("a data set");
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    criterion.bench_function("70,000 strokes", |b| b.iter(|| load(&data, None, 1).expect("images")));
    criterion.final_summary();
}
