import { useTranslation } from 'react-i18next';
import { Command } from './Copy';

/** How to push a first image, with the real names. */
export function PushSteps({ server, repository }: { server: string; repository: string }) {
  const { t } = useTranslation();
  const target = `${server}/${repository}:1`;
  return (
    <div className="push-steps">
      <ol>
        <li>
          {t('push.signIn')}
          <Command label="docker" text={`docker login ${server}`} />
          <Command label="skopeo" text={`skopeo login ${server}`} />
        </li>
        <li>
          {t('push.tag')}
          <Command label="docker" text={`docker tag python:3.12-slim ${target}`} />
        </li>
        <li>
          {t('push.push')}
          <Command label="docker" text={`docker push ${target}`} />
          <Command label="podman" text={`podman push ${target}`} />
          <Command label="skopeo" text={`skopeo copy containers-storage:localhost/app:1 docker://${target}`} />
          <Command label="oras" text={`oras push ${target} FILE`} />
        </li>
      </ol>
      <p className="muted" role="status">
        {t('push.waiting')}
      </p>
    </div>
  );
}
