//! `--set` and `--unset`, which are applied in the order in which the command line has them.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::Override;

/// The overrides of the command line, in their order.
#[derive(Clone, Debug)]
pub(super) struct OverrideArgs(pub(super) Vec<Override>);

/// Name of the value of `--set` in help texts.
pub(super) const SET_VALUE: &str = "KEY.PATH=VALUE";
/// Name of the value of `--unset` in help texts.
pub(super) const UNSET_VALUE: &str = "KEY.PATH";

impl Args for OverrideArgs {
    fn augment_args(command: Command) -> Command {
        let set = Arg::new("set").long("set").value_name(SET_VALUE).action(ArgAction::Append);
        let unset = Arg::new("unset").long("unset").value_name(UNSET_VALUE).action(ArgAction::Append);
        command.arg(set.help("Set a value of the experiment, such as `train.lr=0.01` (repeatable)")).arg(
            unset.help(
                "Remove a value of the experiment, such as `data.train_limit` or `arms.random_mask` (repeatable)",
            ),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OverrideArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = |option: &str, change: fn(String) -> Override| {
            let values = matches.get_many::<String>(option).into_iter().flatten().cloned().map(change);
            matches.indices_of(option).into_iter().flatten().zip(values).collect::<Vec<_>>()
        };
        let mut overrides = [values("set", Override::Set), values("unset", Override::Unset)].concat();
        overrides.sort_by_key(|(index, _)| *index);
        Ok(Self(overrides.into_iter().map(|(_, change)| change).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
