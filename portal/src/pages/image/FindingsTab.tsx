import { Button, Menu, MenuItemCheckbox, MenuList, MenuPopover, MenuTrigger, ToggleButton } from '@fluentui/react-components';
import { ColumnTriple20Regular, Keyboard20Regular } from '@fluentui/react-icons';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';
import type { FindingRow } from '../../api/client';
import { findingsQuery } from '../../api/queries';
import { useRows } from '../../api/rows';
import { FilterBox } from '../../components/FilterBox';
import { Grid, type GridHandle } from '../../components/Grid';
import { SeverityFilter } from '../../components/SeverityFilter';
import { Empty, Failure } from '../../components/states';
import { Age, Count } from '../../components/values';
import { COLUMNS, columnsFromUrl, columnsToUrl, findingColumns, type ColumnName } from './columns';
import FindingPane from './FindingPane';
import type { TabProps } from './Image';
import { KeysDialog, letterKeysOn } from './KeysDialog';

const route = getRouteApi('/shell/registries/$reg/$repo/$digest');

export default function FindingsTab({ imageKey, image }: TabProps) {
  const { t, i18n } = useTranslation();
  const search = route.useSearch();
  const params = route.useParams();
  const navigate = useNavigate();
  const grid = useRef<GridHandle>(null);
  const [keysShown, setKeysShown] = useState(false);
  const { sev, q, patchable, kev, category, sort, cols, finding } = search;
  const filters = useMemo(
    () => ({ severity: sev, q, patchable, kev, category, sort }),
    [sev, q, patchable, kev, category, sort],
  );
  const rows = useRows((index) => findingsQuery(imageKey, filters, index), JSON.stringify([imageKey, filters]));
  const chosen = columnsFromUrl(cols);
  const columns = useMemo(
    () => findingColumns(columnsFromUrl(cols), t, i18n.language),
    [cols, t, i18n.language],
  );

  const { reg, repo, digest } = params;
  const go = useCallback(
    (change: Partial<typeof search>, replace = true) =>
      void navigate({
        to: '/registries/$reg/$repo/$digest',
        params: { reg, repo, digest },
        search: (now) => ({ ...now, ...change }),
        replace,
      }),
    [navigate, reg, repo, digest],
  );
  const filter = useCallback((text: string | undefined) => go({ q: text }), [go]);
  const open = useCallback((row: FindingRow) => go({ finding: row.id }), [go]);
  const close = useCallback(() => {
    go({ finding: undefined });
    grid.current?.focus();
  }, [go]);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const typing = (event.target as HTMLElement).closest('input, textarea, select, dialog');
    if (event.defaultPrevented || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape' && finding) close();
    else if (!letterKeysOn()) return;
    else if (event.key === 'j') grid.current?.step(1);
    else if (event.key === 'k') grid.current?.step(-1);
    else if (event.key === '?') setKeysShown(true);
    else return;
    event.preventDefault();
  };

  const filtered = Boolean(sev || q || patchable || kev || category);
  return (
    <div className="findings" onKeyDown={onKeyDown}>
      <div className="commands" role="group" aria-label={t('shell.commands')}>
        <FilterBox label={t('findings.filter')} value={q} onChange={filter} />
        <SeverityFilter value={sev} onChange={(next) => go({ sev: next })} />
        <span className="segments" role="group" aria-label={t('findings.more')}>
          <ToggleButton size="small" checked={patchable === 'true'} onClick={() => go({ patchable: patchable === 'true' ? undefined : 'true' })}>
            {t('findings.patchable')}
          </ToggleButton>
          <ToggleButton size="small" checked={kev === 'true'} onClick={() => go({ kev: kev === 'true' ? undefined : 'true' })}>
            {t('findings.exploited')}
          </ToggleButton>
        </span>
        {category && (
          <button type="button" className="chip" onClick={() => go({ category: undefined })}>
            {category} <span aria-hidden="true">×</span>
            <span className="sr-only">{t('filter.remove')}</span>
          </button>
        )}
        <span className="commands-end">
          <span className="result-count">
            {rows.total !== undefined && t('grid.rows', { count: rows.total })}
          </span>
          <ColumnsMenu chosen={chosen} onChange={(next) => go({ cols: columnsToUrl(next) })} />
          <Button
            size="small"
            appearance="subtle"
            icon={<Keyboard20Regular />}
            aria-label={t('keys.title')}
            title={t('keys.title')}
            onClick={() => setKeysShown(true)}
          />
        </span>
      </div>
      {rows.error && <Failure error={rows.error} retry={rows.retry} />}
      <div className="split">
        {rows.total === 0 ? (
          <NoFindings image={image} filtered={filtered} />
        ) : (
          <Grid
            label={t('finding.findings')}
            columns={columns}
            rows={rows}
            rowId={findingId}
            selectedId={finding}
            onOpen={open}
            sort={sort}
            onSort={(next) => go({ sort: next || undefined })}
            handle={grid}
          />
        )}
        {finding && <FindingPane imageKey={imageKey} id={finding} onClose={close} />}
      </div>
      {keysShown && <KeysDialog onClose={() => setKeysShown(false)} />}
    </div>
  );
}

const findingId = (row: FindingRow) => row.id;

/** Empty for one of three reasons; only one of them is good news. */
function NoFindings({ image, filtered }: { image: TabProps['image']; filtered: boolean }) {
  const { t } = useTranslation();
  if (filtered) return <Empty title={t('findings.noMatch')} />;
  if (image.status !== 'healthy') return <Empty title={t('findings.noVerdict')} />;
  return (
    <div className="healthy-proof">
      <Empty title={t('findings.healthy')}>
        <p>
          {t('findings.proofPackages')}: <Count value={image.packages} />. {t('findings.proofScanned')}:{' '}
          <Age at={image.scan.finishedAt} />. {t('image.advisoriesOf')}: <Age at={image.advisories.newestDataDate} />.
        </p>
      </Empty>
    </div>
  );
}

function ColumnsMenu({ chosen, onChange }: { chosen: readonly ColumnName[]; onChange(next: readonly ColumnName[]): void }) {
  const { t } = useTranslation();
  return (
    <Menu
      checkedValues={{ columns: [...chosen] }}
      onCheckedValueChange={(_, { checkedItems }) => onChange(checkedItems as ColumnName[])}
    >
      <MenuTrigger disableButtonEnhancement>
        <Button size="small" appearance="subtle" icon={<ColumnTriple20Regular />}>
          {t('findings.columns')}
        </Button>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {COLUMNS.map((name) => (
            <MenuItemCheckbox key={name} name="columns" value={name}>
              {t(`column.${name}`)}
            </MenuItemCheckbox>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
