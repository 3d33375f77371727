//! What several measurements come to.

/// Median, minimum and maximum.
pub(crate) struct Spread(pub(crate) f64, pub(crate) f64, pub(crate) f64);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values[values.len() / 2], values[0], values[values.len() - 1])
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.1} ({:.1}–{:.1})", self.0, self.1, self.2);
        f.pad(&text)
    }
}
