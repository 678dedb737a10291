import { EXIT, type Option, UsageError } from '../command-line.js';
import { type Command, defineCommand, NAME } from './command.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** Makes the command that prints the completion of all commands, its own as well. */
export function makeCompletion(commands: readonly Command[]): Command {
  const completion: Command = defineCommand(
    ['completion'],
    {
      usage: [SHELLS.join('|')],
      about: `Prints a script by which a shell completes the commands and options of ${NAME}.`,
      operands: { SHELL: SHELLS.join(', ') },
      options: {},
      examples: [
        'bash > /etc/bash_completion.d/passkey-manager',
        'zsh > "${fpath[1]}/_passkey-manager"',
        'fish > ~/.config/fish/completions/passkey-manager.fish',
      ],
    },
    ({ operands: [shell] }, { stdout }) => {
      const write = WRITERS[shell as Shell] as ((all: readonly Command[]) => string) | undefined;
      if (!write) throw new UsageError(`Give one of ${SHELLS.join(', ')}.`);
      stdout.write(write([...commands, completion]));
      return EXIT.done;
    },
  );
  return completion;
}

/** An option, and what completes its value: nothing for a flag. */
interface Completed {
  readonly names: readonly string[];
  readonly text: string;
  readonly value: string | undefined;
}

function listOptions({ program }: Command): Completed[] {
  const options = Object.entries<Option>(program.options).map(([name, { short, value, text }]) => ({
    names: [`--${name}`, ...(short === undefined ? [] : [`-${short}`])],
    text,
    value,
  }));
  return [...options, { names: ['--help', '-h'], text: 'Prints the help.', value: undefined }];
}

/** The choices of a value such as `table|json`; undefined for a value of any other kind. */
function listChoices(value: string): string[] | undefined {
  return /^[a-z-]+(\|[a-z-]+)+$/.test(value) ? value.split('|') : undefined;
}

/** The words that can follow first, with those that can follow them. */
function groupCommands(commands: readonly Command[]): Map<string, Command[]> {
  return Map.groupBy(commands, ({ words: [first = ''] }) => first);
}

const listSecondWords = (commands: readonly Command[]): string[] =>
  commands.flatMap(({ words: [, second] }) => second ?? []);

/** True if a command reads a file that is no option. */
function takesFile({ program }: Command): boolean {
  return Object.keys(program.operands ?? {}).some((name) => /^(FILE|EXPORT|EVENT)$/.test(name));
}

const listArguments = ({ words, program }: Command): string[] =>
  words[0] === 'completion' ? [...SHELLS] : Object.keys(program.operands ?? {}).slice(0, 0);

function writeBash(commands: readonly Command[]): string {
  const groups = groupCommands(commands);
  const seconds = [...groups].filter(([, of]) => listSecondWords(of).length > 0);
  const cases = commands.flatMap((command) => {
    const values = listOptions(command).filter(({ value }) => value !== undefined);
    const files = values.filter(({ value }) => value === 'FILE' || value === 'PAGE' || value === 'NOTES');
    const choices = values.filter(({ value }) => listChoices(value!));
    const others = values.filter((option) => !files.includes(option) && !choices.includes(option));
    return [
      `    '${command.words.join(' ')}')`,
      '      case "$prev" in',
      ...writeCase(files, 'COMPREPLY=($(compgen -f -- "$cur")); return'),
      ...choices.flatMap((option) =>
        writeCase([option], `COMPREPLY=($(compgen -W '${listChoices(option.value!)!.join(' ')}' -- "$cur")); return`),
      ),
      ...writeCase(others, 'return'),
      '      esac',
      `      words='${[...listArguments(command), ...listOptions(command).map(({ names: [name] }) => name)].join(' ')}'`,
      `      files=${takesFile(command) ? 'yes' : ''} ;;`,
    ];
  });
  return `# Completion of ${NAME} for bash. ${NAME} completion bash prints it.
_passkey_manager() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words='' files=''
  local command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${[...groups.keys()].join(' ')} --help --version' -- "$cur"))
    return
  fi
  case "$command" in
${seconds.map(([first, of]) => `    ${first})\n      if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W '${listSecondWords(of).join(' ')} --help' -- "$cur")); return; fi\n      command="$command \${COMP_WORDS[2]}" ;;`).join('\n')}
  esac
  case "$command" in
${cases.join('\n')}
    *) return ;;
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    *) if [ -n "$files" ]; then COMPREPLY=($(compgen -f -- "$cur")); else COMPREPLY=($(compgen -W "$words" -- "$cur")); fi ;;
  esac
}
complete -o filenames -F _passkey_manager ${NAME}
`;
}

const writeCase = (options: readonly Completed[], action: string): string[] =>
  options.length === 0 ? [] : [`        ${options.flatMap(({ names }) => names).join('|')}) ${action} ;;`];

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** In a description of zsh, a colon and brackets have a meaning. */
const quoteZsh = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");

function writeZsh(commands: readonly Command[]): string {
  const groups = groupCommands(commands);
  const describe = (of: readonly Command[]): string =>
    of.length === 1 ? of[0]!.program.about : of.map(({ words }) => words[1]).join(', ');
  const cases = commands.map((command) => {
    const specs = listOptions(command).flatMap(({ names, text, value }) =>
      names.map((name) => {
        const choices = value === undefined ? undefined : listChoices(value);
        const action = choices
          ? `(${choices.join(' ')})`
          : value === 'FILE' || value === 'PAGE' || value === 'NOTES'
            ? '_files'
            : ' ';
        return `'*${name}[${quoteZsh(text)}]${value === undefined ? '' : `:${quoteZsh(value)}:${action}`}'`;
      }),
    );
    const operands = takesFile(command)
      ? "'*:file:_files'"
      : command.words[0] === 'completion'
        ? `'*:shell:(${SHELLS.join(' ')})'`
        : "'*: : '";
    return `    '${command.words.join(' ')}') _arguments -S ${[...specs, operands].join(' \\\n      ')} ;;`;
  });
  const words = (entries: readonly (readonly [string, string])[]): string =>
    entries.map(([word, text]) => `'${word}:${quoteZsh(text)}'`).join(' ');
  return `#compdef ${NAME}
# Completion of ${NAME} for zsh. ${NAME} completion zsh prints it.
_${NAME}() {
  local -a entries
  local command=$words[2] taken=1
  if (( CURRENT == 2 )); then
    entries=(${words([...groups].map(([first, of]) => [first, describe(of)]))})
    _describe command entries
    return
  fi
  case $command in
${[...groups]
  .filter(([, of]) => listSecondWords(of).length > 0)
  .map(
    ([first, of]) => `    ${first})
      if (( CURRENT == 3 )); then
        entries=(${words(of.map(({ words: [, second = ''], program }) => [second, program.about]))})
        _describe command entries
        return
      fi
      command="$command $words[3]" taken=2 ;;`,
  )
  .join('\n')}
  esac
  shift $taken words
  (( CURRENT -= taken ))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _${NAME} ]]; then _${NAME} "$@"; else compdef _${NAME} ${NAME}; fi
`;
}

function writeFish(commands: readonly Command[]): string {
  const groups = groupCommands(commands);
  const lines = [...groups].flatMap(([first, of]) => {
    const about = of.length === 1 ? of[0]!.program.about : of.map(({ words }) => words[1]).join(', ');
    const seconds = listSecondWords(of);
    return [
      `complete -c ${NAME} -n __fish_use_subcommand -a ${first} -d ${quote(about)}`,
      ...of.flatMap(({ words: [, second], program }) =>
        second === undefined
          ? []
          : [
              `complete -c ${NAME} -n '__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${seconds.join(' ')}' -a ${second} -d ${quote(program.about)}`,
            ],
      ),
      ...of.flatMap(writeFishOptions),
    ];
  });
  return `# Completion of ${NAME} for fish. ${NAME} completion fish prints it.
complete -c ${NAME} -f
${lines.join('\n')}
`;
}

function writeFishOptions(command: Command): string[] {
  const condition = command.words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
  const start = `complete -c ${NAME} -n '${condition}'`;
  const options = listOptions(command).map(({ names: [long = '', short], text, value }) => {
    const choices = value === undefined ? undefined : listChoices(value);
    const takes =
      value === undefined
        ? ''
        : choices
          ? ` -x -a '${choices.join(' ')}'`
          : value === 'FILE' || value === 'PAGE' || value === 'NOTES'
            ? ' -r -F'
            : ' -x';
    return `${start} -l ${long.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`}${takes} -d ${quote(text)}`;
  });
  if (takesFile(command)) options.push(`${start} -F`);
  if (command.words[0] === 'completion') options.push(`${start} -a '${SHELLS.join(' ')}'`);
  return options;
}

const WRITERS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = {
  bash: writeBash,
  zsh: writeZsh,
  fish: writeFish,
};
