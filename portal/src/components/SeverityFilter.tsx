import { ToggleButton } from '@fluentui/react-components';
import { useTranslation } from 'react-i18next';
import { SEVERITIES, SeverityIcon } from './Severity';

interface SeverityFilterProps {
  /** Severities, comma-separated, as the URL holds them. */
  value: string | undefined;
  onChange(value: string | undefined): void;
}

export function SeverityFilter({ value, onChange }: SeverityFilterProps) {
  const { t } = useTranslation();
  const chosen = new Set((value ?? '').split(','));
  return (
    <span className="segments" role="group" aria-label={t('finding.severity')}>
      {SEVERITIES.map((severity) => (
        <ToggleButton
          key={severity}
          size="small"
          icon={<SeverityIcon severity={severity} />}
          checked={chosen.has(severity)}
          onClick={() => {
            const next = SEVERITIES.filter((name) => chosen.has(name) !== (name === severity));
            onChange(next.join(',') || undefined);
          }}
        >
          {t(`severity.${severity}`)}
        </ToggleButton>
      ))}
    </span>
  );
}
