export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Each asks the program itself, whose last line says `:0` when files are to be completed. */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of kubectl-linuxkit
_kubectl_linuxkit() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      # Without a candidate: then bash completes files itself, with blanks and folders as it does elsewhere.
      :0) compopt -o default ;;
      :*) ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <(kubectl-linuxkit __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_linuxkit kubectl-linuxkit
`,
  zsh: `#compdef kubectl-linuxkit
_kubectl_linuxkit() {
  local line value
  local -a candidates
  # Of --option=value the value alone is completed.
  compset -P '--*='
  for line in "\${(@f)$(kubectl-linuxkit __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :0) _files; return ;;
      :*) ;;
      *$'\\t'*) value=\${line%%$'\\t'*}; candidates+=("\${value//:/\\\\:}:\${line#*$'\\t'}") ;;
      *) candidates+=("\${line//:/\\\\:}") ;;
    esac
  done
  (( \${#candidates} )) && _describe 'kubectl-linuxkit' candidates
}
compdef _kubectl_linuxkit kubectl-linuxkit
`,
  fish: `# fish completion of kubectl-linuxkit
function __kubectl_linuxkit_complete
  set -l current (commandline -ct)
  set -l words (commandline -opc) $current
  # Candidates stand for the whole of --option=value.
  set -l option (string match -r -- '^--[a-z-]+=' $current)
  for line in (kubectl-linuxkit __complete $words[2..-1] 2>/dev/null)
    switch $line
      case ':0'
        for path in (__fish_complete_path (string replace -- "$option" '' $current))
          echo "$option"$path
        end
      case ':*'
      case '*'
        echo "$option"$line
    end
  end
end
complete -c kubectl-linuxkit -f -a '(__kubectl_linuxkit_complete)'
`,
};

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}
