//! The order in which arms, layers and runs are listed: that of their first rows.

/// Returns each distinct value once, in the order of first occurrence. Quadratic in the number of distinct values,
/// which are names of arms or layers.
pub fn first_seen<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_seen_keeps_the_order_of_first_occurrences() {
        assert_eq!(first_seen(["b", "a", "b", "c", "a"]), ["b", "a", "c"]);
        assert_eq!(first_seen([0; 0]), [0; 0]);
    }
}
