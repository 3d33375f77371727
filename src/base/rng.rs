//! Random streams that are the same on every machine and in every version. Independent of tensors and of the generators
//! of libtorch.
//!
//! A [`Stream`] is named by seed, replicate, purpose, repeat and round; two draws with the same name are equal on
//! purpose, which is how controls are paired with the tickets they control for. Sampling is implemented here because a
//! library may change its sampling between minor versions.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The purpose of a stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The choice of the images held out for validation; the same for every replicate.
    Split,
    /// The initial weights θ₀ of a replicate.
    Init,
    /// The order of the training images in one epoch.
    Order,
    /// New initial weights for a control arm.
    Reinit,
    /// A random mask.
    Mask,
    /// The random scores of a pruning criterion, and the order of weights with equal scores.
    Criterion,
    /// The images that weights are scored on.
    Score,
    /// The weights that grow at an update of a mask in training, and the order of weights with equal scores there.
    MaskUpdates,
    /// The scores that the training of a mask begins with.
    Scores,
    /// The permutation of initial weights within a layer.
    Shuffle,
    /// The noise added to initial weights.
    Noise,
    /// The random directions along which the loss around trained weights is measured.
    Direction,
    /// The noise of corrupted test images; the same for every network.
    Corruption,
    /// The start of an adversarial attack; the same for every network.
    Attack,
    /// One number per element and iteration from a counter-based generator: dropout and augmentation.
    Elementwise,
}

impl Purpose {
    /// Returns the name of the purpose, which is part of the hash that seeds a stream.
    fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Init => "init",
            Self::Order => "order",
            Self::Reinit => "reinit",
            Self::Mask => "mask",
            Self::Criterion => "criterion",
            Self::Score => "score",
            Self::MaskUpdates => "mask_updates",
            Self::Scores => "scores",
            Self::Shuffle => "shuffle",
            Self::Noise => "noise",
            Self::Direction => "direction",
            Self::Corruption => "corruption",
            Self::Attack => "attack",
            Self::Elementwise => "elementwise",
        }
    }
}

/// The name of a stream of random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The seed of the experiment.
    pub seed: u64,
    /// Replicate, from 1; 0 if all replicates share the stream.
    pub replicate: u32,
    /// The purpose of the numbers.
    pub purpose: Purpose,
    /// Repeat, from 1; 0 if the stream is the same for all repeats.
    pub repeat: u32,
    /// Round, from 1; 0 if the stream is the same for all rounds.
    pub round: u32,
}

impl Stream {
    /// Returns a stream that depends on the replicate and is the same for all repeats and rounds.
    pub fn of_replicate(seed: u64, replicate: u32, purpose: Purpose) -> Self {
        Self { seed, replicate, purpose, repeat: 0, round: 0 }
    }

    /// Returns the generator `index` of this stream: a stream has independent generators, such as one per epoch, and
    /// none requires drawing from those before it.
    pub fn generator(&self, index: u64) -> Generator {
        let mut hash = Sha256::new();
        hash.update(b"lth stream 1\0");
        hash.update(self.purpose.name());
        hash.update([0]);
        for word in [self.seed, u64::from(self.replicate), u64::from(self.repeat), u64::from(self.round), index] {
            hash.update(word.to_le_bytes());
        }
        Generator { chacha: ChaCha8Rng::from_seed(hash.finalize().into()), spare: None }
    }

    /// Returns the counter-based generator of this stream.
    pub fn counter_rng(&self) -> CounterRng {
        CounterRng(self.generator(0).chacha.next_u64())
    }
}

/// Counter-based generator: the number of an element is a hash of a key and the index of the element, so that elements
/// can be drawn in any order: a device can draw all elements at once, and every engine draws the same numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterRng(u64);

impl CounterRng {
    /// Returns the key of one `site` at one iteration; the number of an element is [`mix`]`(key, element)`. A site is a
    /// dropout layer or the augmentation of the images. Scores that break ties use iteration 0 and the layer as the
    /// site.
    pub fn key(self, iteration: u64, site: u64) -> u64 {
        mix(mix(self.0, iteration), site)
    }
}

/// Returns the number in [0, 1), a multiple of 2⁻⁵³, of 64 random bits.
#[inline(always)]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// A `ChaCha8` generator with the distributions that this program draws from.
pub struct Generator {
    chacha: ChaCha8Rng,
    /// The second number of the last pair that [`normal`](Self::normal) drew.
    spare: Option<f64>,
}

impl Generator {
    /// Draws a uniform number in [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        unit(self.chacha.next_u64())
    }

    /// Draws a uniform integer in `0..bound`, without bias (Lemire, arXiv 1805.10941).
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.chacha.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Draws a standard normal number by the polar form of Box & Muller after Marsaglia; with `libm`, so that all
    /// machines give the same bits.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.unit() - 1.0;
            let y = 2.0 * self.unit() - 1.0;
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                let factor = (-2.0 * libm::log(s) / s).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Shuffles `items` in place (Fisher & Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Returns the numbers `0..n` in random order.
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

/// `SplitMix64` (Steele et al. 2014): a cheap generator for numbers that are drawn by the million, such as pixels.
pub struct SplitMix(u64);

impl SplitMix {
    /// Returns the generator that starts at `seed`.
    #[inline(always)]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws the next 64 bits.
    #[inline(always)]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Draws a uniform number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Draws a uniform number in [`low`, `high`).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

/// Hashes two 64-bit words into one. `mix(key, element)` is the random number of an element for a key of
/// [`CounterRng::key`].
#[inline(always)]
pub fn mix(a: u64, b: u64) -> u64 {
    SplitMix::new(a ^ b.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(purpose: Purpose) -> Stream {
        Stream::of_replicate(7, 1, purpose)
    }

    #[test]
    fn stream_depends_on_every_part_of_its_name() {
        let base = Stream { seed: 7, replicate: 1, purpose: Purpose::Reinit, repeat: 1, round: 1 };
        let first = |stream: Stream, index| stream.generator(index).below(u64::MAX);
        let others = [
            first(Stream { seed: 8, ..base }, 0),
            first(Stream { replicate: 2, ..base }, 0),
            first(Stream { purpose: Purpose::Init, ..base }, 0),
            first(Stream { repeat: 2, ..base }, 0),
            first(Stream { round: 2, ..base }, 0),
            first(base, 1),
        ];
        assert_eq!(first(base, 0), first(base, 0));
        assert!(others.iter().all(|&other| other != first(base, 0)), "{others:?}");
    }

    #[test]
    fn stream_numbers_are_pinned() {
        // Changing a stream changes every result ever made: these must never move.
        let mut g = stream(Purpose::Init).generator(0);
        let drawn = (g.below(1000), g.unit(), g.normal(), g.permutation(5));
        assert_eq!(format!("{drawn:?}"), "(694, 0.23461918765016143, 1.3456329407909455, [2, 1, 0, 4, 3])");
        let elementwise = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
        assert_eq!(
            (elementwise.0, elementwise.key(3, 2)),
            (15_168_379_077_323_005_823, 2_334_214_954_204_016_947),
            "tests/oracle/lenet.py starts from it"
        );
        assert_eq!(SplitMix::new(0).next_u64(), 0xE220_A839_7B1D_CDAF, "the published first value for seed 0");
    }

    #[test]
    fn normal_has_mean_0_and_variance_1() {
        let mut g = stream(Purpose::Init).generator(0);
        let n = 100_000;
        let drawn: Vec<f64> = (0..n).map(|_| g.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(n);
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn permutation_holds_every_number_once() {
        let mut order = stream(Purpose::Order).generator(3).permutation(1000);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &x)| i == x as usize));
    }
}
